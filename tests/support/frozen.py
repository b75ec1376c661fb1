"""Freezes a process with SIGSTOP, so that it exists but does not respond."""

import os
import signal
import time
from pathlib import Path

_WITHIN_S = 10


def freeze(pid: int) -> None:
    """Send SIGSTOP and return when all threads of the process are stopped; each stops on its own."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + _WITHIN_S
    while not all(_is_stopped(stat) for stat in Path(f"/proc/{pid}/task").glob("*/stat")):
        assert time.monotonic() < deadline, f"process {pid} did not stop"
        time.sleep(0.005)


def unfreeze(pid: int) -> None:
    os.kill(pid, signal.SIGCONT)


def _is_stopped(stat: Path) -> bool:
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "T"
    except FileNotFoundError:  # the thread has ended
        return True
