"""Child processes: started in a group of their own, ended with everything they started."""

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

from paceline.local.processes.scheduling import take_place

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
    """Starts a child in a session of its own, so that the terminal's Ctrl-C reaches only us.

    On Linux the child gets `parent_death_signal` when the *thread* that called this ends: call it from a
    thread that lives as long as the child should. `first`: it is on the way of an order (`scheduling`).
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
        take_place(first=first)

    return begin if _LIBC else None


def prctl(option: int, value: int) -> None:
    """Linux only: sets a property of the calling process."""
    if _LIBC is not None:
        _LIBC.prctl(option, value, 0, 0, 0)


def as_user(user: str | None) -> dict[str, Any]:
    """The arguments that make `subprocess` run a child as another user, without our groups."""
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def family(pid: int) -> list[psutil.Process]:
    """A process that `spawn` started, if it is still there, then all that came of it.

    That is its descendants and the members of its session, who stay in it when their parents have died.
    """
    found: dict[int, psutil.Process] = {}
    with contextlib.suppress(psutil.NoSuchProcess):
        eldest = psutil.Process(pid)
        found |= {one.pid: one for one in (eldest, *eldest.children(recursive=True))}
    for one in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.NoSuchProcess):
            if os.getsid(one.pid) == pid:
                found.setdefault(one.pid, one)
    return [one for one in found.values() if is_alive(one)]


def is_alive(process: psutil.Process) -> bool:
    """Whether it still runs; a zombie does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def end(members: Sequence[psutil.Process], how: signal.Signals, timeout_s: float) -> bool:
    """Signals the first, waits for all, then kills what is left. True when nobody had to be killed."""
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
    """True when all have ended in time. Leaves the reaping to whoever started them."""
    deadline = time.monotonic() + timeout_s
    while any(map(is_alive, members)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def wait_until(ready: Callable[[], bool], child: subprocess.Popen[bytes], timeout_s: float) -> bool:
    """Polls `ready` until it holds; False when the child has ended or the time is over."""
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
