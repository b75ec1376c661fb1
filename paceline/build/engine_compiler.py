"""Compiles the engine with mypyc: `python -m paceline.build.engine_compiler FOLDER`.

Run by `engine_build`, in a process that has the compiler's own packages on its path.
"""

import sys
import tempfile
from pathlib import Path

from paceline.build.compiled import LIBRARY

# The package's `__init__` stays Python, and so do the rows of snapshots: they are msgspec structs.
_NOT_COMPILED = ("__init__.py", "snapshot.py")


def compile_engine(folder: Path) -> None:
    """Write the compiled modules into a folder. The working directory must be the one with the package."""
    from mypyc.build import mypycify
    from setuptools import Distribution  # type: ignore[import-untyped]

    modules = [
        path for path in sorted(Path("paceline/engine").glob("*.py")) if path.name not in _NOT_COMPILED
    ]
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        extensions = mypycify(
            ["--config-file=", f"--cache-dir={work}/cache", *map(str, modules)],
            opt_level="2",
            debug_level="0",
            target_dir=f"{work}/c",
            group_name=LIBRARY,
        )
        options = {"build_ext": {"build_lib": f"{work}/lib", "build_temp": f"{work}/objects"}}
        Distribution({"ext_modules": extensions, "options": options}).run_command("build_ext")
        (Path(work) / "lib").rename(folder)


if __name__ == "__main__":
    compile_engine(Path(sys.argv[1]))
