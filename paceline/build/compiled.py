"""The compiled form of the engine. It is used if a build of exactly these sources exists.

`paceline/engine` is plain Python and runs without a build. `paceline install` also compiles it, into a folder
of the virtual environment whose name is the SHA-256 of all inputs of the build. A finder before Python's own
looks for the engine's modules there. A changed source changes the name, so an old build is never used.
This module is outside the engine, because the engine may not read files or settings.
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
from paceline.settings import load_setting

PACKAGE = Path(__file__).parents[1]
COMPILER = PACKAGE / "build" / "engine_compiler.py"
COMPILER_LOCK = PACKAGE / "build" / "engine-compiler.lock"
LIBRARY = "paceline_engine"
"""Name of the library that mypyc builds. It has all the code; each module is a small wrapper of it."""
_COMPILED_MODULES = ("paceline.engine.", f"{LIBRARY}__mypyc")


def key(package: Path = PACKAGE) -> str:
    """The name of a build: hash of engine, its imports (for their constants), compiler and interpreter."""
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
    """The build that this process uses; None if the engine is plain Python."""
    setting = load_setting("engine", os.environ)
    if setting == "python":
        return None
    build = builds() / key()
    if build.is_dir():
        return build
    if setting == "compiled":
        raise PermanentError(
            f"PACELINE_ENGINE is `compiled`, but {builds()} has no build of these sources. "
            "Run `paceline install`, which builds the engine or says why it cannot."
        )
    return None


def form() -> str:
    return "plain Python" if in_use() is None else "compiled"


class Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(_COMPILED_MODULES) or (build := in_use()) is None:
            return None
        return PathFinder.find_spec(fullname, [str(build.joinpath(*fullname.split(".")[:-1]))])
