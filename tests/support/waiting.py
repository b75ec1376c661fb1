"""Waits for conditions."""

import asyncio
from collections.abc import Callable

_EVERY_S = 0.01


async def until(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    """Return once `condition` holds; fail the test when it does not within `within_s`."""
    for _ in range(round(within_s / _EVERY_S)):
        if condition():
            return
        await asyncio.sleep(_EVERY_S)
    raise AssertionError(f"did not happen within {within_s} s")
