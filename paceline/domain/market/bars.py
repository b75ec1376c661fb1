"""One-minute bars of bid and ask. Pure; times are log times in microseconds.

Bars are made in parts, so that a restart within a minute or a lost database loses no bar. A part covers the
updates since the part before, and is merged into the stored bar (see `adapters/postgres/bars`).
"""

from dataclasses import dataclass
from typing import Final

from paceline.core.times import MINUTE_US
from paceline.messages.inbound import PriceUpdate

MAX_PARTS: Final = 20_000  # days of four markets


@dataclass(slots=True)
class PriceRange:
    """Open, high, low and close of one price, scaled."""

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
    """A bar, or a part of one. `minute_us` is the minute's start; `updates` counts this part's updates."""

    symbol: str
    minute_us: int
    bid: PriceRange
    ask: PriceRange
    updates: int
    last_update_id: int


def is_usable(update: PriceUpdate, last_update_id: int) -> bool:
    """Whether the engine would accept this price of a known market. The engine drops the others."""
    return update.update_id > last_update_id and 0 < update.bid < update.ask


class BarBook:
    """The parts that are not stored yet: at most one per symbol and minute."""

    def __init__(self) -> None:
        self._parts: dict[tuple[str, int], Bar] = {}

    def __len__(self) -> int:
        return len(self._parts)

    def add(self, update: PriceUpdate) -> None:
        """Add a usable price to the minute of its `time`. Beyond `MAX_PARTS` parts the oldest is dropped."""
        minute_us = update.time - update.time % MINUTE_US
        part = self._parts.get((update.symbol, minute_us))
        if part is None:
            self._parts[update.symbol, minute_us] = Bar(
                update.symbol,
                minute_us,
                PriceRange(update.bid, update.bid, update.bid, update.bid),
                PriceRange(update.ask, update.ask, update.ask, update.ask),
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
        """Remove and return all parts, oldest minute first."""
        parts = sorted(self._parts.values(), key=lambda part: (part.minute_us, part.symbol))
        self._parts = {}
        return parts
