"""One-minute bars of bid and ask. Pure; times are the log's, in microseconds.

Bars are made in parts, so that a restart in mid-minute or a lost database loses no bar: a part covers
what came since the last one and is merged into the stored bar (see `adapters/postgres/bars`).
"""

from dataclasses import dataclass
from typing import Final

from paceline.core.times import MINUTE_US
from paceline.messages.inbound import PriceUpdate

MAX_PARTS: Final = 20_000  # days of four markets


@dataclass(slots=True)
class Side:
    """Open, high, low and close, scaled."""

    open: int
    high: int
    low: int
    close: int

    def add(self, price: int) -> None:
        if price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.close = price


@dataclass(slots=True)
class Bar:
    """A bar, or a part of one. `minute_us` is the minute's start; `updates` counts those of this part."""

    symbol: str
    minute_us: int
    bid: Side
    ask: Side
    updates: int
    last_update_id: int


def is_usable(update: PriceUpdate, last_update_id: int) -> bool:
    """Whether the engine would accept this price of a known market: the rule of its drops."""
    return update.update_id > last_update_id and 0 < update.bid < update.ask


class BarBook:
    """The parts that were not stored yet: at most one a symbol and minute."""

    def __init__(self) -> None:
        self._parts: dict[tuple[str, int], Bar] = {}

    def __len__(self) -> int:
        return len(self._parts)

    def add(self, update: PriceUpdate) -> None:
        """Take a usable price, in the minute of its `time`; beyond `MAX_PARTS` the oldest part goes."""
        minute_us = update.time - update.time % MINUTE_US
        part = self._parts.get((update.symbol, minute_us))
        if part is None:
            self._parts[update.symbol, minute_us] = Bar(
                update.symbol,
                minute_us,
                Side(update.bid, update.bid, update.bid, update.bid),
                Side(update.ask, update.ask, update.ask, update.ask),
                1,
                update.update_id,
            )
            if len(self._parts) > MAX_PARTS:
                del self._parts[next(iter(self._parts))]
            return
        part.bid.add(update.bid)
        part.ask.add(update.ask)
        part.updates += 1
        part.last_update_id = update.update_id

    def take(self) -> list[Bar]:
        """The parts, oldest minute first; the book starts anew."""
        parts = sorted(self._parts.values(), key=lambda part: (part.minute_us, part.symbol))
        self._parts = {}
        return parts
