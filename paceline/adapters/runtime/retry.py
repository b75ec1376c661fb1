"""Waits for a server that is unavailable: bounded, with back-off and jitter, by tenacity.

tenacity is imported at the first wait or connection, not when a command or the API starts.
"""

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import structlog

if TYPE_CHECKING:
    from tenacity import AsyncRetrying, RetryCallState

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
    from tenacity import (
        AsyncRetrying,
        retry_if_exception_type,
        stop_before_delay,
        wait_random_exponential,
    )

    async def attempt() -> T:
        # tenacity awaits only what it knows to be a coroutine function, and `work` may be a lambda.
        return await work()

    def report(state: "RetryCallState") -> None:
        _log.warning("waiting", what=what, error=reason_of(state), pause_s=pause_of(state))

    first_s = min(FIRST_DELAY_S, longest_delay_s)
    # The pauses are random, so that readers that lost the same server do not come back all at once.
    return await AsyncRetrying(
        retry=retry_if_exception_type(on),
        wait=wait_random_exponential(first_s, longest_delay_s, min=first_s / 2),
        stop=stop_before_delay(patience_s),
        before_sleep=report,
        reraise=True,
    )(attempt)


def reconnecting(
    *,
    on: tuple[type[Exception], ...],
    first_s: float,
    longest_s: float,
    stable_s: float,
    report: "Callable[[RetryCallState], None]",
) -> "AsyncRetrying":
    """Attempts without end, for a connection that ends only with an error in `on`.

    The pause between two attempts is random, at least half of `first_s`; its bound doubles from `first_s` to
    `longest_s`. It starts again at `first_s` after an attempt that lasted longer than `stable_s`. `report`
    is called before each pause.
    """
    from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

    began_s = 0.0

    def begin(state: "RetryCallState") -> None:
        nonlocal began_s
        began_s = time.monotonic()

    def end(state: "RetryCallState") -> None:
        if time.monotonic() - began_s > stable_s:
            state.attempt_number = 1

    return AsyncRetrying(
        retry=retry_if_exception_type(on),
        wait=wait_random_exponential(first_s, longest_s, min=first_s / 2),
        before=begin,
        after=end,
        before_sleep=report,
        reraise=True,
    )


def reason_of(state: "RetryCallState") -> str:
    """The text of the error that ended the last attempt."""
    error = state.outcome.exception() if state.outcome else None
    return str(error).strip()[:300] or type(error).__name__


def pause_of(state: "RetryCallState") -> float:
    """The pause before the next attempt, in seconds."""
    return round(state.upcoming_sleep, 2)
