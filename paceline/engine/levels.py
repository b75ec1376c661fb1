"""Fixed price levels that wait for a price. One heap per market, watched price and direction.

A level is stored under a *key* that makes both directions alike: the level itself if it fires on rising
prices, its negative if it fires on falling prices. It fires when its key ≤ the price's key. Smaller keys
fire first: the lowest of the rising levels, the highest of the falling ones.
"""

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Final

from mypy_extensions import mypyc_attr

# Classes of levels, in the order in which levels of one price fire.
LIQUIDATION: Final = 0
STOP_LOSS: Final = 1
TRAILING_STOP: Final = 2
TAKE_PROFIT: Final = 3
ORDER: Final = 4


@mypyc_attr(acyclic=True)
class LevelEntry:
    """A waiting level of the trade or order `id`. Entries sort in the order in which they fire.

    `position`: that of the message that set it. One message sets at most one level of a class.
    """

    __slots__ = ("id", "key", "level_class", "position")

    def __init__(self, key: int, level_class: int, position: int, id: str) -> None:
        self.key = key
        self.level_class = level_class
        self.position = position
        self.id = id

    def __lt__(self, other: "LevelEntry") -> bool:
        if self.key != other.key:
            return self.key < other.key
        if self.level_class != other.level_class:
            return self.level_class < other.level_class
        return self.position < other.position


IsLive = Callable[[LevelEntry], bool]

FALLING: Final = -1
RISING: Final = 1

# The key where there is no level. A real key above it would only cause useless checks. It fits into a machine
# word, as prices do, so comparing is cheap.
NEVER: Final = 1 << 61

# Dead entries that a heap may hold beyond the number of living ones.
_DEAD_ALLOWANCE: Final = 1024

# When compiled, a `Final` name is a C variable; an imported name is looked up.
_push: Final = heappush


def key_of(price: int, direction: int) -> int:
    return price if direction == RISING else -price


class LevelHeap:
    """A removed level stays as a dead entry until it is at the top or the dead outnumber the living."""

    __slots__ = ("_dead", "_direction", "_entries", "_is_live", "first")

    def __init__(self, direction: int, is_live: IsLive) -> None:
        self._direction = direction
        self._entries: list[LevelEntry] = []
        self._dead = 0  # entries in the heap whose level was removed
        self._is_live = is_live
        self.first: int = NEVER
        """The key that fires first. It may belong to a dead entry, which only causes a useless check."""

    def add(self, level: int, level_class: int, position: int, id_: str) -> bool:
        """Add a level; True if it is now the first to fire."""
        key = key_of(level, self._direction)
        _push(self._entries, LevelEntry(key, level_class, position, id_))
        if key >= self.first:
            return False
        self.first = key
        return True

    def forget(self) -> None:
        """Count one entry as dead: its trade or order was removed, or its level was set again."""
        self._dead += 1
        if 2 * self._dead > len(self._entries) + _DEAD_ALLOWANCE:
            living = [entry for entry in self._entries if self._is_live(entry)]
            self._dead -= len(self._entries) - len(living)
            self._entries = living
            heapify(living)
            self.first = living[0].key if living else NEVER

    def take(self, price: int) -> list[LevelEntry]:
        """Remove and return the living entries that fire at a price. The caller must `forget` each."""
        taken: list[LevelEntry] = []
        entries, price_key = self._entries, key_of(price, self._direction)
        while entries and entries[0].key <= price_key:
            entry = heappop(entries)
            self._dead -= 1
            if self._is_live(entry):
                taken.append(entry)
        self.first = entries[0].key if entries else NEVER
        return taken
