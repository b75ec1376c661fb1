"""Bars, and the log that they are made from, in memory."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import deepcopy

from paceline.domain.market.bars import Bar, PriceRange
from paceline.domain.operations.readers import ReaderPosition
from paceline.messages.inbound import Inbound
from paceline.messages.log_form import Undecodable
from paceline.ports.market import BarDraft, LoggedMessages, StoredBars
from tests.support.fakes.store import FakeStore

Bars = dict[tuple[str, int], Bar]


def merge(bars: Bars, parts: Sequence[Bar]) -> None:
    for part in parts:
        kept = bars.get((part.symbol, part.minute_us))
        if kept is None:
            bars[part.symbol, part.minute_us] = deepcopy(part)
        elif part.last_update_id > kept.last_update_id:
            kept.bid, kept.ask = _widened(kept.bid, part.bid), _widened(kept.ask, part.ask)
            kept.updates += part.updates
            kept.last_update_id = part.last_update_id


def _widened(kept: PriceRange, part: PriceRange) -> PriceRange:
    return PriceRange(kept.open, max(kept.high, part.high), min(kept.low, part.low), part.close)


class FakeBars(FakeStore):
    """`stored` bars by symbol and minute; `at` is where their reader stands."""

    def __init__(self) -> None:
        self.stored: Bars = {}
        self.at = ReaderPosition(0, 0)

    async def load(self) -> StoredBars:
        self._check_available()
        return StoredBars(self.at, await self.last_update_ids(2**63 - 1))

    async def append(self, parts: Sequence[Bar], was: ReaderPosition, now: ReaderPosition) -> bool:
        self._check_available()
        if self.at != was:
            return False
        merge(self.stored, parts)
        self.at = now
        return True

    async def last_update_ids(self, until_us: int) -> Mapping[str, int]:
        self._check_available()
        found: dict[str, int] = {}
        for (symbol, minute_us), bar in self.stored.items():
            if minute_us <= until_us:
                found[symbol] = max(bar.last_update_id, found.get(symbol, -1))
        return found

    @asynccontextmanager
    async def draft(self) -> AsyncIterator[BarDraft]:
        self._check_available()
        yield _Draft(self)

    async def close(self) -> None:
        pass


class _Draft:
    def __init__(self, store: FakeBars) -> None:
        self._store = store
        self._bars: Bars = {}

    async def add(self, parts: Sequence[Bar]) -> None:
        merge(self._bars, parts)

    async def replace(self, from_us: int | None, now: ReaderPosition) -> ReaderPosition | None:
        store = self._store
        if store.at.offset > now.offset:
            return store.at
        store.stored = {key: bar for key, bar in store.stored.items() if key[1] < (from_us or 0)}
        merge(store.stored, list(self._bars.values()))
        store.at = now
        return None


class FakeHistory:
    """`records` of messages, of which the first `cut` are no longer there. What `arrives` is on the log only
    when the first read has ended."""

    def __init__(
        self,
        *records: Sequence[Inbound | Undecodable],
        cut: int = 0,
        arrives: Sequence[Sequence[Inbound | Undecodable]] = (),
    ) -> None:
        self.records = list(records)
        self.cut = cut
        self.arrives = list(arrives)

    async def read(self, start: ReaderPosition | None = None) -> AsyncIterator[LoggedMessages]:
        if start is None:
            start = ReaderPosition(sum(map(len, self.records[: self.cut])), self.cut)
        yield LoggedMessages([], start.position, start)
        position = start.position
        for offset, messages in list(enumerate(self.records))[start.offset :]:
            after = ReaderPosition(position + len(messages), offset + 1)
            yield LoggedMessages(messages, position, after)
            position = after.position
        self.records += self.arrives
        self.arrives = []
