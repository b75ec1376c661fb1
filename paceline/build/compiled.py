"""The compiled form of the engine, in use where there is a build of exactly the sources that are here.

`paceline/engine` is plain Python and runs as it is. `paceline install` compiles it too, into a folder of the
virtual environment which is named after the SHA-256 of all that goes into a build. A finder ahead of Python's
own looks for the engine's modules there. A source that has changed asks for a folder of another name, so an
old build is never served. All of this stands outside of the engine, which may not read files or settings.
"""

import hashlib
import os
import sys
import sysconfig
from collections.abc import Sequence
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from paceline.core.errors import PermanentError
from paceline.settings import one

PACKAGE = Path(__file__).parents[1]
COMPILER = PACKAGE / "build" / "engine_compiler.py"
COMPILER_LOCK = PACKAGE / "build" / "engine-compiler.lock"
LIBRARY = "paceline_engine"
"""Of mypyc's: one library holds all the code, and each module is a small front to it."""
_COMPILED = ("paceline.engine.", f"{LIBRARY}__mypyc")


def key(package: Path = PACKAGE) -> str:
    """Names a build: the engine and what it imports (constants are compiled in), compiler, interpreter."""
    digest = hashlib.sha256(str(sysconfig.get_config_var("SOABI")).encode())
    sources = (
        path for part in ("core", "engine", "messages") for path in sorted((package / part).glob("*.py"))
    )
    for path in (*sources, COMPILER, COMPILER_LOCK):
        digest.update(f"\n{path.name} ".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def builds() -> Path:
    return Path(sys.prefix) / "share" / "paceline" / "engine"


@cache
def in_use() -> Path | None:
    """The build that this process runs; None where the engine is plain Python."""
    wish = one("engine", os.environ)
    if wish == "python":
        return None
    build = builds() / key()
    if build.is_dir():
        return build
    if wish == "compiled":
        raise PermanentError(
            f"PACELINE_ENGINE is `compiled`, but {builds()} holds no build of the engine as it is here: "
            "`paceline install` makes one, or says why it cannot"
        )
    return None


def form() -> str:
    return "plain Python" if in_use() is None else "compiled"


class Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(_COMPILED) or (build := in_use()) is None:
            return None
        return PathFinder.find_spec(fullname, [str(build.joinpath(*fullname.split(".")[:-1]))])
