"""Sends quotes to `publish` when they are due: those of walks at a rate, those of recordings at a speed.

A recording starts again at its end. A market in a recording has no walk.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Final

from sandbox.exchange import recordings as recorded
from sandbox.exchange.protocol import Quote
from sandbox.exchange.walk import Walk

Publish = Callable[[Sequence[Quote]], None]
Ready = Callable[[], Awaitable[None]]

_TIMER_STEP_S: Final = 0.002  # timer resolution: at a high rate several quotes are sent per turn
_MAX_DELAY_S: Final = 1.0  # if later than this, the schedule restarts at now instead of catching up
_CHECK_EVERY_QUOTES: Final = 64  # quotes between two checks for slow clients at speed 0
_LONGEST_PAUSE_S: Final = 5.0  # longer gaps in a recording are shortened to this


async def play_walks(walks: Mapping[str, Walk], rate_hz: float, publish: Publish) -> None:
    """Publish quotes of all walks in turn, `rate_hz` per second in total, forever. A walk reads no clock."""
    turn = list(walks.values())
    if not turn:
        return
    elapsed_s, gap_s = len(turn) / rate_hz, 1 / rate_hz
    loop = asyncio.get_running_loop()
    due_s = loop.time()
    steps = cycle([walk.step for walk in turn])

    def play() -> float:
        nonlocal due_s
        now_s = loop.time()
        if now_s - due_s > _MAX_DELAY_S:
            due_s = now_s
        quotes = []
        while due_s <= now_s:
            quotes.append(next(steps)(elapsed_s))
            due_s += gap_s
        publish(quotes)
        return max(due_s - loop.time(), _TIMER_STEP_S)

    await _call_repeatedly(play)


async def _call_repeatedly(play: Callable[[], float]) -> None:
    """Call `play` repeatedly until it fails, each time after the number of seconds that it returned. It uses
    a loop timer, because waking a task hundreds of times a second costs more than `play` itself."""
    loop = asyncio.get_running_loop()
    failed: asyncio.Future[None] = loop.create_future()
    timer: asyncio.Handle

    def turn() -> None:
        nonlocal timer
        try:
            timer = loop.call_later(play(), turn)
        except Exception as error:  # noqa: BLE001 - the task that awaits gets it
            failed.set_exception(error)

    timer = loop.call_soon(turn)
    try:
        await failed
    finally:
        timer.cancel()


async def play_recording(
    path: Path,
    *,
    renamed: Mapping[str, str],
    markets: frozenset[str],
    speed: float,
    publish: Publish,
    ready: Ready,
) -> None:
    """Publish the quotes of `markets` in a recording, again and again.

    `speed` 1 is real time. 0 is as fast as the clients read: `ready` waits for slow ones.
    """
    while True:
        count = 0
        start_s = asyncio.get_running_loop().time()
        first_us: int | None = None
        for item in recorded.read(path, renamed):
            if item.quote.symbol not in markets:
                continue
            first_us = item.at_us if first_us is None else first_us
            if speed > 0:
                start_s = await _sleep_until(start_s, (item.at_us - first_us) / 1e6 / speed)
            elif count % _CHECK_EVERY_QUOTES == 0:
                await ready()
            count += 1
            publish((item.quote,))
        await asyncio.sleep(_TIMER_STEP_S)


async def _sleep_until(start_s: float, offset_s: float) -> float:
    """Sleep until `offset_s` after the start. Returns the start, moved after a long gap or a delay."""
    loop = asyncio.get_running_loop()
    pause_s = start_s + offset_s - loop.time()
    if pause_s > _LONGEST_PAUSE_S:
        start_s -= pause_s - _LONGEST_PAUSE_S
        pause_s = _LONGEST_PAUSE_S
    if pause_s > _TIMER_STEP_S:
        await asyncio.sleep(pause_s)
    elif pause_s < -_MAX_DELAY_S:
        start_s -= pause_s
    return start_s
