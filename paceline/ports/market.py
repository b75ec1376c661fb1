"""Markets, their prices and their bars."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from msgspec import Struct

from paceline.domain.market.bars import Bar
from paceline.domain.operations.readers import ReaderPosition
from paceline.messages.inbound import ConfigureMarket, Inbound
from paceline.messages.log_form import Undecodable


class Market(Struct, frozen=True, kw_only=True):
    """A market, as configured on the log."""

    symbol: str
    base: str
    quantity_step: str
    min_notional: str
    max_leverage: int
    maker_rate_bps: int
    taker_rate_bps: int
    maintenance_rate_bps: int
    halted: bool = False


class Markets(Protocol):
    """`TransientError` when the store cannot be reached."""

    def markets(self) -> list[Market]:
        """All configured markets, by symbol."""
        ...


class MarketConfigurations(Protocol):
    async def configured(self) -> dict[int, dict[str, ConfigureMarket]]:
        """The newest configuration by shard and symbol. Shards without markets may be absent."""
        ...


class Price(Struct, frozen=True):
    """Last price of a symbol, scaled by 10⁸; `time_us` is when our feed received it."""

    bid: int
    ask: int
    time_us: int


class Prices(Protocol):
    """`None` while a symbol has no price; `TransientError` if the store is unavailable."""

    def last(self, symbol: str) -> Price | None: ...


class StoredBars(Struct, frozen=True):
    """Where the reader of the log stands whose bars are stored, and by symbol their highest update id."""

    at: ReaderPosition
    last_update_ids: Mapping[str, int]


class BarDraft(Protocol):
    """Bars that are made again next to the stored ones."""

    async def add(self, parts: Sequence[Bar]) -> None:
        """Merge parts into the draft."""
        ...

    async def replace(self, from_us: int | None, now: ReaderPosition) -> ReaderPosition | None:
        """Put the draft in the place of all stored bars, or of those from the minute `from_us` on, and the
        reader at `now`; bars of earlier minutes are merged with the draft's.

        Where the reader stands beyond `now`, nothing changes, and where it stands is returned.
        """
        ...


class BarStore(Protocol):
    """One-minute bars, and the position of the one reader that makes them from shard 0 of `engine.in`.

    Merging a part: the first open and the last close stay, highs and lows widen, updates add up. A part whose
    last update id is not above the stored one was merged before and changes nothing. `TransientError` when
    the store cannot be reached; so for drafts.
    """

    async def load(self) -> StoredBars:
        """The reader's position is 0 at its first start."""
        ...

    async def append(self, parts: Sequence[Bar], was: ReaderPosition, now: ReaderPosition) -> bool:
        """Merge parts and move the reader, all or nothing. False, and nothing stored, unless it is at `was`:
        another process reads this shard, or this append was done before."""
        ...

    async def last_update_ids(self, until_us: int) -> Mapping[str, int]:
        """By symbol the highest update id of the bars up to the minute `until_us`, included."""
        ...

    def draft(self) -> AbstractAsyncContextManager[BarDraft]:
        """An empty draft, gone at the end."""
        ...

    async def close(self) -> None: ...


class LoggedMessages(Struct, frozen=True):
    """Messages that follow each other on a shard's log, the first of them at `position`.

    `next` is where the log goes on after them: None in the middle of an archived file, which has no offsets.
    """

    messages: Sequence[Inbound | Undecodable]
    position: int
    next: ReaderPosition | None


class InboundHistory(Protocol):
    def read(self, start: ReaderPosition | None = None) -> AsyncIterator[LoggedMessages]:
        """The messages of one shard of `engine.in` from `start` on, or from the oldest that can be had, to
        the end that the log has now. The last item has a `next`, and there is at least one.

        `PermanentError` where messages are missing, or where the position of the oldest is not known.
        """
        ...
