"""Child processes: started in a session of their own, ended together with their descendants."""

import contextlib
import ctypes
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import psutil

from paceline.local.processes.scheduling import set_scheduling

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def spawn(
    command: Sequence[str],
    *,
    cwd: Path,
    output: IO[bytes] | int,
    environment: Mapping[str, str] | None = None,
    user: str | None = None,
    first: bool = False,
    parent_death_signal: signal.Signals = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own, so the terminal's Ctrl-C reaches only this process.

    On Linux the child gets `parent_death_signal` when the *thread* that called this ends: call it from a
    thread that lives as long as the child. `first`: it is on the order path (see `scheduling`).
    """
    return subprocess.Popen(
        command,
        cwd=cwd,
        env=None if environment is None else dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=_as_child(parent_death_signal, first),  # noqa: PLW1509  system calls, no lock is taken
        **as_user(user),
    )


def _as_child(death_signal: signal.Signals, first: bool) -> Callable[[], None] | None:
    def begin() -> None:
        prctl(_PR_SET_PDEATHSIG, death_signal)
        set_scheduling(first=first)

    return begin if _LIBC else None


def prctl(option: int, value: int) -> None:
    """Set a property of the calling process (Linux only)."""
    if _LIBC is not None:
        _LIBC.prctl(option, value, 0, 0, 0)


def as_user(user: str | None) -> dict[str, Any]:
    """Arguments for `subprocess` to run a child as another user, without our groups."""
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def family(pid: int) -> list[psutil.Process]:
    """A process that `spawn` started, if it still runs, then all processes that it started.

    These are its descendants and the members of its session, which stay in it when their parents end.
    """
    found: dict[int, psutil.Process] = {}
    with contextlib.suppress(psutil.NoSuchProcess):
        leader = psutil.Process(pid)
        found |= {one.pid: one for one in (leader, *leader.children(recursive=True))}
    for one in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.NoSuchProcess):
            if os.getsid(one.pid) == pid:
                found.setdefault(one.pid, one)
    return [one for one in found.values() if is_alive(one)]


def is_alive(process: psutil.Process) -> bool:
    """Whether a process still runs; a zombie does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def end(members: Sequence[psutil.Process], how: signal.Signals, timeout_s: float) -> bool:
    """Signal the first, wait for all, then kill the rest. True if none had to be killed."""
    if not members:
        return True
    with contextlib.suppress(psutil.NoSuchProcess):
        members[0].send_signal(how)
    if await_end(members, timeout_s):
        return True
    for process in members:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    await_end(members, 5)
    return False


def await_end(members: Sequence[psutil.Process], timeout_s: float) -> bool:
    """True if all have ended in time. The process that started them must reap them."""
    deadline = time.monotonic() + timeout_s
    while any(map(is_alive, members)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def wait_until(ready: Callable[[], bool], child: subprocess.Popen[bytes], timeout_s: float) -> bool:
    """Poll `ready` until it is true; False if the child has ended or the time is over."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if ready():
            return True
        if child.poll() is not None:
            return False
        time.sleep(0.05)
    return False


def is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0
