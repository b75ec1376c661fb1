"""Fixed price levels, waiting for a price. One heap per market, watched price and direction.

A level is kept under a *key* that makes both directions alike: the level itself where it fires on
rising prices, its negative where it fires on falling ones. It fires when its key ≤ the price's key,
and smaller keys fire first: the lowest of the rising, the highest of the falling.
"""

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Final

from mypy_extensions import mypyc_attr

# Classes of levels, in the order in which equal levels fire.
LIQUIDATION: Final = 0
STOP_LOSS: Final = 1
TRAILING_STOP: Final = 2
TAKE_PROFIT: Final = 3
ORDER: Final = 4


@mypyc_attr(acyclic=True)
class Entry:
    """A level that waits, of the trade or order `id`. Sorts in order of firing.

    `position`: of the message that set it. No two levels of a class were set by one message.
    """

    __slots__ = ("id", "key", "level_class", "position")

    def __init__(self, key: int, level_class: int, position: int, id: str) -> None:
        self.key = key
        self.level_class = level_class
        self.position = position
        self.id = id

    def __lt__(self, other: "Entry") -> bool:
        if self.key != other.key:
            return self.key < other.key
        if self.level_class != other.level_class:
            return self.level_class < other.level_class
        return self.position < other.position


IsLive = Callable[[Entry], bool]

FALLING: Final = -1
RISING: Final = 1

# The key of no level. Were there ever one beyond it, we would only look in vain more often. It fits into a
# machine word, as prices do: comparing those costs nothing.
NEVER: Final = 1 << 61

_SLACK: Final = 1024

# Compiled, a `Final` name is a C variable, while an imported one is looked up.
_push: Final = heappush


def key_of(price: int, direction: int) -> int:
    return price if direction == RISING else -price


class LevelHeap:
    """Removed levels stay as dead entries until they come to the top or outnumber the living."""

    __slots__ = ("_dead", "_direction", "_entries", "_is_live", "first")

    def __init__(self, direction: int, is_live: IsLive) -> None:
        self._direction = direction
        self._entries: list[Entry] = []
        self._dead = 0  # entries in the heap whose level is gone
        self._is_live = is_live
        self.first: int = NEVER
        """The key that fires first; may be that of a dead entry, so it errs toward looking."""

    def add(self, level: int, level_class: int, position: int, id_: str) -> bool:
        """Add a level; True if it is the first to fire now."""
        key = key_of(level, self._direction)
        _push(self._entries, Entry(key, level_class, position, id_))
        if key >= self.first:
            return False
        self.first = key
        return True

    def forget(self) -> None:
        """One entry has died: its trade or order is gone, or its level was set anew."""
        self._dead += 1
        if 2 * self._dead > len(self._entries) + _SLACK:
            living = [entry for entry in self._entries if self._is_live(entry)]
            self._dead -= len(self._entries) - len(living)
            self._entries = living
            heapify(living)
            self.first = living[0].key if living else NEVER

    def take(self, price: int) -> list[Entry]:
        """Take out and return the living entries that fire at a price; each is to be forgotten after that."""
        taken: list[Entry] = []
        entries, price_key = self._entries, key_of(price, self._direction)
        while entries and entries[0].key <= price_key:
            entry = heappop(entries)
            self._dead -= 1
            if self._is_live(entry):
                taken.append(entry)
        self.first = entries[0].key if entries else NEVER
        return taken
