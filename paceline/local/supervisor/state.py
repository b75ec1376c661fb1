"""The supervisor's state file for `paceline status`, and the lock that allows one supervisor per folder."""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import psutil

from paceline.core.errors import ConflictError
from paceline.local.supervisor.runner import ServiceRunner
from paceline.local.supervisor.service import HEALTHY

STALE_S: Final = 15.0  # a supervisor writes every two seconds


def path(var_dir: Path) -> Path:
    return var_dir / "run" / "up.json"


@contextlib.contextmanager
def lock_folder(var_dir: Path) -> Iterator[None]:
    """Hold the folder's lock; the kernel releases it when this process ends, even by a crash."""
    lock = var_dir / "run" / "up.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise ConflictError(
                f"A stack already runs on {var_dir} (PID {file.read().strip() or 'unknown'}): "
                "see `paceline status`, or set PACELINE_VAR_DIR and the ports to run a second one"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def write(var_dir: Path, runners: Sequence[ServiceRunner]) -> None:
    """Replace the file in one step, so a reader never sees half of it."""
    target = path(var_dir)
    draft = target.with_suffix(".new")
    draft.write_text(json.dumps(describe(runners)))
    draft.replace(target)


def describe(runners: Sequence[ServiceRunner]) -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "at_us": time.time_ns() // 1000,
        "healthy": all(runner.state in HEALTHY for runner in runners),
        "services": {
            runner.service.name: {
                "state": runner.state.value,
                "pid": runner.pid,
                "restarts": runner.restarts,
                "reason": runner.reason,
                "address": runner.service.address,
                "since_us": runner.since_us,
            }
            for runner in runners
        },
    }


def read(var_dir: Path) -> dict[str, Any] | None:
    """The running supervisor's last state; None if none runs."""
    try:
        found: dict[str, Any] = json.loads(path(var_dir).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    if time.time_ns() // 1000 - found["at_us"] > STALE_S * 1_000_000 or not psutil.pid_exists(found["pid"]):
        return None
    return found
