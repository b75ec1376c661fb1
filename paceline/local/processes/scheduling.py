"""Process priorities (Linux): the processes on the order path run before all others.

On few cores an order waits less for its own work than for other work: ten wake-ups, each behind a process
that is running. Under real-time scheduling (`SCHED_RR`) the order path runs as soon as it wakes up, on any
core with less urgent work. The kernel always keeps a twentieth of each core for other processes.
docs/performance.md has the measured gain; it needs root, CAP_SYS_NICE or an RLIMIT_RTPRIO.
"""

import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from paceline.settings import Settings

# Without the feed: its bursts of prices would delay orders again.
ORDER_PATH: Final = frozenset({"kafka", "redis", "engine", "router", "api"})

_LOWEST_PRIORITY: Final = 1


def real_time_services(settings: Settings) -> Collection[str]:
    """The services that get real-time priority by these settings, if the system allows it."""
    return ORDER_PATH if settings.realtime == "auto" else ()


def set_scheduling(*, first: bool) -> None:
    """Set the scheduling of this process: real-time if `first` and allowed; else batch, which does not
    interrupt a running process when it wakes up."""
    if first and _set_policy(os.SCHED_RR, _LOWEST_PRIORITY):
        return
    _set_policy(os.SCHED_BATCH, 0)


@contextmanager
def real_time_priority() -> Iterator[bool]:
    """Give this thread real-time priority meanwhile; yields whether the system allows it."""
    if sys.platform != "linux":
        yield False
        return
    before, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    allowed = _set_policy(os.SCHED_RR, _LOWEST_PRIORITY)
    try:
        yield allowed
    finally:
        if allowed:
            os.sched_setscheduler(0, before, priority)


def real_time_allowed() -> bool:
    """Whether the system allows real-time priority: set once and undone."""
    with real_time_priority() as allowed:
        return allowed


def _set_policy(policy: int, priority: int) -> bool:
    with suppress(OSError):  # the kernel or the container does not allow it
        os.sched_setscheduler(0, policy, os.sched_param(priority))
        return True
    return False
