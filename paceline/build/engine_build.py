"""Compiles the engine if the machine has a C compiler; otherwise it stays plain Python."""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from paceline.build import compiled

_TIMEOUT_S = 600


class BuildFailed(Exception):
    """The engine cannot be compiled; the message says why."""


def install() -> str:
    """Compile the engine unless that is done; returns one line that says in which form it runs."""
    build = compiled.builds() / compiled.key()
    if not build.is_dir():
        try:
            _build(build)
        except (BuildFailed, OSError) as why:
            return f"plain Python, with the same results at half the speed: {why}"
    return f"compiled, in {build}"


def _build(build: Path) -> None:
    """Make the folder in one step, once it is complete. Builds of other sources are removed."""
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
        _run("the compiler cannot be downloaded", "pip", "install", *options, "--target", tools, "-r", lock)
        _run("the engine does not compile", "paceline.build.engine_compiler", made, path=tools)
        if build.name != compiled.key():
            raise BuildFailed("the sources changed while they were compiled; run `paceline install` again")
        if not build.is_dir():
            Path(made).rename(build)
    for other in build.parent.glob("[!.]*"):
        if other != build:
            shutil.rmtree(other, ignore_errors=True)


def check_machine() -> None:
    """`BuildFailed` if this machine cannot compile."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    if shutil.which(compiler) is None:
        raise BuildFailed(f"there is no C compiler (`{compiler}`)")
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if not header.is_file():
        raise BuildFailed(f"Python's headers are not installed ({header})")


def _run(failure: str, module: str, *arguments: str, path: str = "") -> None:
    """Run a Python module in the folder of the package; `BuildFailed` with the last line of its output."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=compiled.PACKAGE.parent,
            env={**os.environ, "PYTHONPATH": path, "PACELINE_ENGINE": "python"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BuildFailed(f"{failure}: it took longer than {_TIMEOUT_S} s") from error
    if done.returncode:
        log = compiled.builds() / ".failed.log"
        log.write_text(done.stdout, encoding="utf-8")
        last = (done.stdout.splitlines() or [""])[-1]
        raise BuildFailed(f"{failure}: {last[:200]} (the rest is in {log})")
