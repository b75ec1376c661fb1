"""Make the stored bars again from the log, while their reader may run."""

from collections.abc import Callable
from contextlib import aclosing
from typing import Final

from msgspec import Struct

from paceline.core.errors import InvariantViolation, TransientError
from paceline.core.times import MINUTE_US
from paceline.domain.market.bars import BarMaker
from paceline.domain.operations.readers import ReaderPosition
from paceline.messages.inbound import PriceUpdate
from paceline.ports.market import BarDraft, BarStore, InboundHistory, LoggedMessages

_MOST_PARTS: Final = 5_000
# The reader stores once a second and reads no further than the log: it is seldom ahead even once.
_ATTEMPTS: Final = 20
_NEVER_US: Final = 2**63 - 1

Progress = Callable[[int, int], None]
"""Called after each part of the log with the number of messages read and the time of the newest price, µs."""


class Rebuilt(Struct, frozen=True):
    """`parts` were merged from `messages`. `from_us`: earlier bars stayed; None where all are new."""

    messages: int
    parts: int
    from_us: int | None
    at: ReaderPosition


async def rebuild_bars(history: InboundHistory, store: BarStore, progress: Progress) -> Rebuilt:
    """Replace all bars of which the log holds the prices; the reader then goes on where the rebuild ended.

    Where the log's beginning is missing, bars up to the minute of the oldest price stay, and what they lack
    of that minute is added. `TransientError` if the store cannot be reached; then nothing has changed.
    """
    async with store.draft() as draft:
        rebuild = _Rebuild(store, draft, progress)
        at = None
        for _ in range(_ATTEMPTS):
            at = await rebuild.read(history, at)
            if await draft.replace(rebuild.from_us, at) is None:
                return Rebuilt(rebuild.messages, rebuild.parts, rebuild.from_us, at)
    raise TransientError("The reader of bars is ahead of the rebuild each time. Try again.", retry_after_s=10)


class _Rebuild:
    def __init__(self, store: BarStore, draft: BarDraft, progress: Progress) -> None:
        self._store = store
        self._draft = draft
        self._progress = progress
        self._maker: BarMaker | None = None
        self._newest_us = 0
        self.messages = 0
        self.parts = 0
        self.from_us: int | None = None

    async def read(self, history: InboundHistory, start: ReaderPosition | None) -> ReaderPosition:
        """Read to the end of the log as it is now, which is returned."""
        at = None
        async with aclosing(history.read(start)) as parts:  # type: ignore[type-var]
            async for part in parts:
                await self._add(part)
                at = part.next
        if at is None:
            raise InvariantViolation("The log ended without saying where.")
        await self._put()
        return at

    async def _add(self, part: LoggedMessages) -> None:
        prices = [message for message in part.messages if isinstance(message, PriceUpdate)]
        if self._maker is None and part.position > 0 and self.messages == 0:
            self.from_us = _NEVER_US
        if prices and self._maker is None:
            self._maker = await self._begin(prices[0])
        if self._maker is not None:
            self._maker.add(prices)
            if len(self._maker) >= _MOST_PARTS:
                await self._put()
        self._newest_us = prices[-1].time if prices else self._newest_us
        self.messages += len(part.messages)
        self._progress(self.messages, self._newest_us)

    async def _begin(self, first: PriceUpdate) -> BarMaker:
        if self.from_us is None:
            return BarMaker({})
        minute_us = first.time - first.time % MINUTE_US
        self.from_us = minute_us + MINUTE_US
        return BarMaker(await self._store.last_update_ids(minute_us))

    async def _put(self) -> None:
        if self._maker is not None and len(self._maker):
            parts = self._maker.take()
            await self._draft.add(parts)
            self.parts += len(parts)
