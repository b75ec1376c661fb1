"""Builds the engine's compiled form where the machine has a C compiler; without one it stays plain Python."""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from paceline.build import compiled

_LONGEST_S = 600


class BuildFailed(Exception):
    """Why there is no compiled engine, in words."""


def install() -> str:
    """Builds the engine's compiled form unless it is there; one line that says in which form it runs."""
    build = compiled.builds() / compiled.key()
    if not build.is_dir():
        try:
            _build(build)
        except (BuildFailed, OSError) as why:
            return f"plain Python, with the same results at half the speed: {why}"
    return f"compiled, in {build}"


def _build(build: Path) -> None:
    """The folder appears when it is whole. Builds of other sources go: nothing will ask for them again."""
    check_machine()
    build.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=build.parent, prefix=".building-") as work:
        tools, made = f"{work}/tools", f"{work}/engine"
        lock = str(compiled.COMPILER_LOCK)
        options = (
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--only-binary=:all:",
            "--require-hashes",
        )
        _run("the compiler could not be fetched", "pip", "install", *options, "--target", tools, "-r", lock)
        _run("it did not compile", "paceline.build.engine_compiler", made, path=tools)
        if build.name != compiled.key():
            raise BuildFailed("the sources changed while they were compiled; run `paceline install` again")
        if not build.is_dir():
            Path(made).rename(build)
    for other in build.parent.glob("[!.]*"):
        if other != build:
            shutil.rmtree(other, ignore_errors=True)


def check_machine() -> None:
    """`BuildFailed` where nothing can be compiled."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    if shutil.which(compiler) is None:
        raise BuildFailed(f"there is no C compiler (`{compiler}`)")
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if not header.is_file():
        raise BuildFailed(f"Python's headers are not installed ({header})")


def _run(failure: str, module: str, *arguments: str, path: str = "") -> None:
    """Runs a module of Python's, beside the package; `BuildFailed` with the last line of what it said."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=compiled.PACKAGE.parent,
            env={**os.environ, "PYTHONPATH": path, "PACELINE_ENGINE": "python"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BuildFailed(f"{failure}: it took longer than {_LONGEST_S} s") from error
    if done.returncode:
        log = compiled.builds() / ".failed.log"
        log.write_text(done.stdout, encoding="utf-8")
        last = (done.stdout.splitlines() or [""])[-1]
        raise BuildFailed(f"{failure}: {last[:200]} (the rest is in {log})")
