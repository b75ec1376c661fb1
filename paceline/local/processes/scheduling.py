"""Whose turn it is on the cores (Linux): what an order passes through, then everything else.

On few cores an order waits less for its own work than for others': ten wake-ups, each behind whoever is at
work. Under real-time scheduling (`SCHED_RR`) these processes are at work as soon as they wake up, wherever a
core does something less urgent. The kernel keeps a twentieth of each core for the others whatever happens.
docs/performance.md has what that is worth; it takes root, CAP_SYS_NICE or an RLIMIT_RTPRIO.
"""

import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from paceline.settings import Settings

# The feed is not among them: its bursts of prices would stand in the way of orders again.
ORDER_PATH: Final = frozenset({"kafka", "redis", "engine", "router", "api"})

_LOWEST: Final = 1


def going_first_by(settings: Settings) -> Collection[str]:
    """The services that go first by these settings, where the system allows it."""
    return ORDER_PATH if settings.realtime == "auto" else ()


def take_place(*, first: bool) -> None:
    """Give this process its place: first, where that is allowed; else it takes turns with the others, and
    does not push aside who is at work when it wakes up."""
    if first and _become(os.SCHED_RR, _LOWEST):
        return
    _become(os.SCHED_BATCH, 0)


@contextmanager
def going_first() -> Iterator[bool]:
    """This thread goes first for as long; tells whether this system allows it."""
    if sys.platform != "linux":
        yield False
        return
    before, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    allowed = _become(os.SCHED_RR, _LOWEST)
    try:
        yield allowed
    finally:
        if allowed:
            os.sched_setscheduler(0, before, priority)


def may_go_first() -> bool:
    """Whether this system lets us: tried, and taken back."""
    with going_first() as allowed:
        return allowed


def _become(policy: int, priority: int) -> bool:
    with suppress(OSError):  # not allowed, by the kernel or by the container around us
        os.sched_setscheduler(0, policy, os.sched_param(priority))
        return True
    return False
