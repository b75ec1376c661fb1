"""A process that is there and does nothing."""

import os
import signal
import time
from pathlib import Path

_WITHIN_S = 10


def freeze(pid: int) -> None:
    """Stop a process, and return when all its threads stand still: each comes to it by itself."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + _WITHIN_S
    while not all(_stands_still(stat) for stat in Path(f"/proc/{pid}/task").glob("*/stat")):
        assert time.monotonic() < deadline, f"process {pid} did not stop"
        time.sleep(0.005)


def thaw(pid: int) -> None:
    os.kill(pid, signal.SIGCONT)


def _stands_still(stat: Path) -> bool:
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "T"
    except FileNotFoundError:  # a thread that has ended meanwhile
        return True
