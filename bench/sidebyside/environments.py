"""Virtual environments of the contenders, created when first needed and again when requirements change."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_VERSION = "import sys, venv; print(sys.version_info.major, sys.version_info.minor)"
_INSTALL_S = 900


class NoEnvironment(Exception):
    """The contender cannot be installed on this machine. The message is the reason."""


def python_of(folder: Path, requirements: Path, oldest: tuple[int, int], newest: tuple[int, int]) -> Path:
    """The interpreter of an environment in `folder` with exactly these requirements."""
    python, made_of = folder / "bin" / "python", folder / "made-of.txt"
    wanted = requirements.read_text(encoding="utf-8")
    if made_of.exists() and made_of.read_text(encoding="utf-8") == wanted:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    _run([str(interpreter(oldest, newest)), "-m", "venv", str(folder)], requirements)
    _run([*_installer(python), "-r", str(requirements)], requirements)
    made_of.write_text(wanted, encoding="utf-8")
    return python


def _installer(python: Path) -> list[str]:
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is not None:
        return [uv, "pip", "install", "--quiet", "--only-binary", ":all:", "--python", str(python)]
    return [str(python), "-m", "pip", "install", "--quiet", "--only-binary", ":all:"]


def interpreter(oldest: tuple[int, int], newest: tuple[int, int]) -> Path:
    """This Python if its version fits, else the newest one found. `NoEnvironment` if there is none."""
    if oldest <= sys.version_info[:2] <= newest:
        return Path(sys.executable)
    for minor in range(newest[1], oldest[1] - 1, -1):
        for candidate in _candidates(minor):
            if _version(candidate) == (3, minor):
                return candidate
    raise NoEnvironment(
        f"Python {oldest[0]}.{oldest[1]} to {newest[0]}.{newest[1]} is needed and is not found"
    )


def _candidates(minor: int) -> Iterator[Path]:
    """Interpreters on the PATH and in pyenv's folder."""
    if found := shutil.which(f"python3.{minor}"):
        yield Path(found)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(pyenv.glob(f"versions/3.{minor}.*/bin/python"), reverse=True)


def _version(python: Path) -> tuple[int, ...] | None:
    asked = subprocess.run([str(python), "-c", _VERSION], capture_output=True, text=True, check=False)
    return tuple(map(int, asked.stdout.split())) if asked.returncode == 0 else None


def _run(command: list[str], requirements: Path) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise NoEnvironment(f"{requirements.name} is not installed after {_INSTALL_S} s") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no error message"])[-1]
        raise NoEnvironment(f"{requirements.name} cannot be installed: {last}")
