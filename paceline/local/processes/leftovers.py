"""Ends processes left over from an earlier run, found by a mark in their environment."""

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Final

import psutil

from paceline.local.processes import process

MARK: Final = "SUPERVISED_BY_PACELINE"  # not a setting, so not PACELINE_…
_PR_SET_CHILD_SUBREAPER = 36


def mark(var_dir: Path) -> dict[str, str]:
    return {MARK: str(var_dir.resolve())}


def find(var_dir: Path) -> list[psutil.Process]:
    """All processes with the folder's mark, except this one and its ancestors."""
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    wanted = str(var_dir.resolve())
    found = []
    for one in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if one.pid not in ours and process.is_alive(one) and one.environ().get(MARK) == wanted:
                found.append(one)
    return found


def end(var_dir: Path, timeout_s: float = 10) -> list[str]:
    """End them, first with SIGTERM, then with SIGKILL; returns a description of each."""
    found = find(var_dir)
    names = []
    for one in found:
        with contextlib.suppress(psutil.Error):
            names.append(f"{one.pid} ({one.name()})")
            one.terminate()
    if not process.await_end(found, timeout_s):
        process.end(found, signal.SIGKILL, 0)
    return names


def adopt_orphans() -> None:
    """On Linux, make orphans of our children our own children, so that none is lost."""
    if sys.platform == "linux":
        process.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def reap(known: set[int]) -> None:
    """Collect ended orphans, except those in `known`, which keepers await, and helpers of our session."""
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error, OSError):
            if child.pid in known or os.getsid(child.pid) == os.getsid(0):
                continue
            if child.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(child.pid, os.WNOHANG)
