"""The pace: quotes of the walk at a rate, quotes of recordings at a speed, to `publish` when they are due.

A recording begins again at its end. A market that a recording holds is left out of the walk.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Final

from sandbox.exchange import recorded
from sandbox.exchange.protocol import Quote
from sandbox.exchange.walk import Walk

Publish = Callable[[Sequence[Quote]], None]
Ready = Callable[[], Awaitable[None]]

_TURN_S: Final = 0.002  # finest step of the clock: at a high rate several quotes go out a turn
_BEHIND_S: Final = 1.0  # further behind than this the schedule starts anew instead of catching up
_BURST: Final = 64  # quotes between two looks at slow clients when playing as fast as possible
_LONGEST_PAUSE_S: Final = 5.0  # a longer gap in a recording is shortened to this


async def play_walks(walks: Mapping[str, Walk], rate_hz: float, publish: Publish) -> None:
    """Quotes of all walks in turn, `rate_hz` a second in all; for ever. The walk itself knows no clock."""
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
        if now_s - due_s > _BEHIND_S:
            due_s = now_s
        quotes = []
        while due_s <= now_s:
            quotes.append(next(steps)(elapsed_s))
            due_s += gap_s
        publish(quotes)
        return max(due_s - loop.time(), _TURN_S)

    await _again_and_again(play)


async def _again_and_again(play: Callable[[], float]) -> None:
    """Call `play`, each time after the seconds that it returned, until it fails. By a timer of the loop: to
    wake a task up hundreds of times a second costs more than what it plays."""
    loop = asyncio.get_running_loop()
    failed: asyncio.Future[None] = loop.create_future()
    timer: asyncio.Handle

    def turn() -> None:
        nonlocal timer
        try:
            timer = loop.call_later(play(), turn)
        except Exception as error:
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
    """The quotes of `markets` of a recording, again and again.

    `speed` 1 is real time; 0 is as fast as `ready` allows, which waits for clients that lag.
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
                start_s = await _wait(start_s, (item.at_us - first_us) / 1e6 / speed)
            elif count % _BURST == 0:
                await ready()
            count += 1
            publish((item.quote,))
        await asyncio.sleep(_TURN_S)


async def _wait(start_s: float, offset_s: float) -> float:
    """Sleep until `offset_s` after the start; the start, moved where a gap was cut or we fell behind."""
    loop = asyncio.get_running_loop()
    pause_s = start_s + offset_s - loop.time()
    if pause_s > _LONGEST_PAUSE_S:
        start_s -= pause_s - _LONGEST_PAUSE_S
        pause_s = _LONGEST_PAUSE_S
    if pause_s > _TURN_S:
        await asyncio.sleep(pause_s)
    elif pause_s < -_BEHIND_S:
        start_s -= pause_s
    return start_s
