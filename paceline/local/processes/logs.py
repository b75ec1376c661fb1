"""Log files of services: the services append to them, the supervisor keeps them small."""

import contextlib
import shutil
from pathlib import Path
from typing import Final

LIMIT_BYTES: Final = 10 * 1024 * 1024


def trim(log: Path, limit_bytes: int = LIMIT_BYTES) -> bool:
    """Copy a log that is too large to `<name>.1` and empty it; there are at most two such files.

    The service keeps its file open, and because it appends, it writes on at the new end. A line written
    between copying and emptying is lost. That is acceptable here; the event log is not such a file.
    """
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > limit_bytes:
            shutil.copyfile(log, log.with_name(f"{log.name}.1"))
            with log.open("r+b") as file:
                file.truncate(0)
            return True
    return False
