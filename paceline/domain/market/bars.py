"""One-minute bars of bid and ask. Pure; times are log times in microseconds.

Bars are made in parts: a part covers the prices since the part before it. A store merges parts into its bars
(`paceline/ports/market.py`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from paceline.core.times import MINUTE_US
from paceline.domain.market.prices import is_usable
from paceline.messages.inbound import Inbound, PriceUpdate
from paceline.messages.log_form import Undecodable

# Prices go to every shard: bars are made from one of them.
PRICE_SHARD: Final = 0

_MAX_STORED: Final = 2**63 - 1


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


class BarMaker:
    """Makes parts of bars from the messages of one shard, in the order of the log.

    Markets that are not configured have bars too, by the rule for those that are. `last_update_ids`: by
    symbol the last price that the stored bars hold. The length is the number of parts that wait: at most one
    for each symbol and minute.
    """

    def __init__(self, last_update_ids: Mapping[str, int]) -> None:
        self._last_ids = dict(last_update_ids)
        self._parts: dict[tuple[str, int], Bar] = {}

    def __len__(self) -> int:
        return len(self._parts)

    def add(self, messages: Iterable[Inbound | Undecodable]) -> None:
        """Take the usable prices among the messages, each in the minute of its `time`."""
        last_ids = self._last_ids
        for message in messages:
            if isinstance(message, PriceUpdate) and is_usable(message, last_ids.get(message.symbol, -1)):
                self._add(message)

    def _add(self, update: PriceUpdate) -> None:
        minute_us = update.time - update.time % MINUTE_US
        part = self._parts.get((update.symbol, minute_us))
        if update.update_id > _MAX_STORED or (part is None and not _is_storable(update)):
            return
        self._last_ids[update.symbol] = update.update_id
        if part is None:
            self._parts[update.symbol, minute_us] = Bar(
                update.symbol,
                minute_us,
                PriceRange(update.bid, update.bid, update.bid, update.bid),
                PriceRange(update.ask, update.ask, update.ask, update.ask),
                1,
                update.update_id,
            )
            return
        part.bid.add(update.bid)
        part.ask.add(update.ask)
        part.updates += 1
        part.last_update_id = update.update_id

    def take(self) -> list[Bar]:
        """The parts that wait, oldest minute first. The next part of a bar counts only what comes after."""
        parts = sorted(self._parts.values(), key=lambda part: (part.minute_us, part.symbol))
        self._parts = {}
        return parts


def _is_storable(update: PriceUpdate) -> bool:
    """The log takes any text and any number. Our feed writes neither NUL nor times beyond 64 bits."""
    return update.time <= _MAX_STORED and "\0" not in update.symbol
