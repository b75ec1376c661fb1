"""Trailing levels of one market and direction, moved in groups instead of one by one.

Stops that have seen the same best price since they were set share a group and move together. A new best
price moves the newest group, which absorbs the older groups that it reaches.
Keys are those of `levels`: the watched price for buys and shorts, its negative for sells and longs.
So the best price is the *lowest* key seen, and a stop fires at `lowest + distance`.
"""

from bisect import bisect_right
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import Final

from paceline.engine.levels import NEVER, IsLive, LevelEntry, key_of

# Dead entries that the groups may hold beyond the number of living ones.
_DEAD_ALLOWANCE: Final = 1024


class TrailingGroup:
    """Stops set from position `start` on, up to the start of the next group, in a heap by distance."""

    __slots__ = ("entries", "lowest", "older_first", "start")

    def __init__(self, start: int, lowest: int) -> None:
        self.start = start
        self.lowest = lowest
        self.entries: list[LevelEntry] = []  # their keys are distances
        self.older_first = NEVER  # the key that fires first in all older groups

    @property
    def first(self) -> int:
        return self.lowest + self.entries[0].key if self.entries else NEVER


class TrailingBook:
    __slots__ = ("_direction", "_groups", "_in_order", "_is_live", "_live", "_size", "first", "mark")

    def __init__(self, worse: int, is_live: IsLive) -> None:
        """`worse`: the direction in which the watched price gets worse, and stops fire."""
        self._direction = worse
        self._groups: list[TrailingGroup] = []  # oldest first
        self._is_live = is_live
        self._live = 0
        self._size = 0
        self._in_order = True
        self.first: int = NEVER
        """The key that fires first. It may belong to a dead entry."""
        self.mark: int = -NEVER
        """A price with a key below this one moves levels."""

    def add(self, entry: LevelEntry, best_price: int) -> None:
        """Add a stop, whose entry has its distance as key.

        `best_price`: the best price it has seen; for a new stop the current price. A snapshot's stops must be
        added in order of position.
        """
        lowest = key_of(best_price, self._direction)
        if not self._groups or self._groups[-1].lowest != lowest:
            # Older groups have seen better prices, except if the market was halted when those came.
            if self._groups and self._groups[-1].lowest > lowest:
                self._in_order = False
            group = TrailingGroup(entry.position, lowest)
            group.older_first = self.first
            self._groups.append(group)
        heappush(self._groups[-1].entries, entry)
        self._live += 1
        self._size += 1
        self.first = min(self.first, lowest + entry.key)
        self.mark = lowest if self._in_order else max(self.mark, lowest)

    def move(self, price: int) -> None:
        """Move the levels whose best price is worse than `price`, the new watched price."""
        price_key = key_of(price, self._direction)
        if price_key >= self.mark or not self._groups:
            return
        if not self._in_order:
            self._move_each(price_key)
            return
        groups = self._groups
        newest = groups[-1]
        newest.lowest = price_key
        while len(groups) > 1 and groups[-2].lowest >= price_key:
            newest = _merge(groups[-2], groups.pop())
            newest.lowest = price_key
            groups[-1] = newest
        self.mark = price_key
        self.first = min(newest.first, newest.older_first)

    def take(self, price: int) -> list[LevelEntry]:
        """Remove and return the living entries that fire, with their levels' keys instead of distances."""
        price_key = key_of(price, self._direction)
        if price_key < self.first:
            return []
        taken: list[LevelEntry] = []
        for group in self._groups:
            while group.entries and group.first <= price_key:
                key = group.first
                entry = heappop(group.entries)
                self._size -= 1
                if self._is_live(entry):
                    taken.append(LevelEntry(key, entry.level_class, entry.position, entry.id))
        self._rebuild()
        return taken

    def forget(self) -> None:
        """Count one entry as dead."""
        self._live -= 1
        if self._size > 2 * self._live + _DEAD_ALLOWANCE:
            for group in self._groups:
                group.entries = [entry for entry in group.entries if self._is_live(entry)]
                heapify(group.entries)
            self._size = sum(len(group.entries) for group in self._groups)
            self._rebuild()

    def best_prices(self) -> "BestPrices":
        """A copy of the best prices, for a snapshot."""
        starts = [group.start for group in self._groups]
        return BestPrices(starts, [key_of(group.lowest, self._direction) for group in self._groups])

    def _move_each(self, price_key: int) -> None:
        for group in self._groups:
            group.lowest = min(group.lowest, price_key)
        self._rebuild()

    def _rebuild(self) -> None:
        """Drop empty groups, merge neighbours with the same best price, and find the key that fires first."""
        groups: list[TrailingGroup] = []
        for group in self._groups:
            if groups and groups[-1].lowest == group.lowest:
                groups[-1] = _merge(groups[-1], group)
            elif group.entries:
                groups.append(group)
        self._groups = groups
        self.first = NEVER
        for group in groups:
            group.older_first = self.first
            self.first = min(self.first, group.first)
        self._in_order = all(older.lowest < newer.lowest for older, newer in pairwise(groups))
        self.mark = max((group.lowest for group in groups), default=-NEVER)


class BestPrices:
    """The best price that each stop has seen, looked up by the position at which it was set."""

    __slots__ = ("_prices", "_starts")

    def __init__(self, starts: list[int], prices: list[int]) -> None:
        self._starts = starts
        self._prices = prices

    def at(self, position: int) -> int:
        return self._prices[bisect_right(self._starts, position) - 1]


def _merge(older: TrailingGroup, newer: TrailingGroup) -> TrailingGroup:
    """The older group with the newer one's stops added: the smaller heap is pushed into the larger."""
    small, large = sorted((older.entries, newer.entries), key=len)
    for entry in small:
        heappush(large, entry)
    older.entries = large
    return older
