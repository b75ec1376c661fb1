"""Log files of services: appended to by the services, kept small by us."""

import contextlib
import shutil
from pathlib import Path
from typing import Final

LIMIT_BYTES: Final = 10 * 1024 * 1024


def trim(log: Path, limit_bytes: int = LIMIT_BYTES) -> bool:
    """Moves a log that has grown too large to `<name>.1` and empties it; at most two such files exist.

    The service keeps its open file, and because it appends, it writes on at the new end. A line written
    between copying and emptying is lost: a log may, the event log never passes here.
    """
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > limit_bytes:
            shutil.copyfile(log, log.with_name(f"{log.name}.1"))
            with log.open("r+b") as file:
                file.truncate(0)
            return True
    return False
