"""Waits for a server that is unavailable: bounded, with back-off and jitter."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

T = TypeVar("T")

FIRST_DELAY_S = 0.05
LONGEST_DELAY_S = 5.0

_log = structlog.get_logger()


async def retrying(
    work: Callable[[], Awaitable[T]],
    *,
    on: tuple[type[Exception], ...],
    what: str,
    patience_s: float = 120.0,
    longest_delay_s: float = LONGEST_DELAY_S,
) -> T:
    """Do `work` until it succeeds; it must be safe to repeat.

    Only errors in `on` count as "unavailable"; the last one is raised once `patience_s` has passed.
    """
    deadline = time.monotonic() + patience_s
    delay_s = FIRST_DELAY_S
    while True:
        try:
            return await work()
        except on as error:
            # Full jitter: readers that lost the same server do not come back all at once.
            pause_s = delay_s * random.uniform(0.5, 1.0)
            if time.monotonic() + pause_s > deadline:
                raise
            _log.warning("waiting", what=what, error=str(error).strip()[:300], pause_s=round(pause_s, 2))
        await asyncio.sleep(pause_s)
        delay_s = min(delay_s * 2, longest_delay_s)
