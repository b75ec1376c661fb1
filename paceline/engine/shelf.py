"""An ordered collection of frozen values that can be captured in no time while it goes on changing.

Values stand in blocks of 128 in the order in which they were added. A capture takes the blocks; the
first write to a block after that copies the block. So a capture costs nothing per value, and what
it holds never changes.
"""

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_BITS = 7
_SIZE = 1 << _BITS
_MASK = _SIZE - 1


class Shelf(Generic[K, V]):
    __slots__ = ("_blocks", "_first", "_live", "_next", "_own", "_slots")

    def __init__(self) -> None:
        self._slots: dict[K, int] = {}
        self._blocks: dict[int, list[V | None]] = {}
        self._live: dict[int, int] = {}
        self._own: set[int] = set()
        self._first = 0
        self._next = 0

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, key: K) -> bool:
        return key in self._slots

    def __iter__(self) -> Iterator[V]:
        """The values in the order in which they were added."""
        return (value for block in self._blocks.values() for value in block if value is not None)

    def get(self, key: K) -> V | None:
        slot = self._slots.get(key)
        return None if slot is None else self._blocks[slot >> _BITS][slot & _MASK]

    def add(self, key: K, value: V) -> None:
        """Add a value under a key that is not there yet."""
        slot = self._next
        self._next = slot + 1
        number = slot >> _BITS
        if slot & _MASK == 0:
            self._blocks[number] = []
            self._live[number] = 0
            self._own.add(number)
        self._slots[key] = slot
        block = self._blocks[number] if number in self._own else self._writable(number)
        block.append(value)
        self._live[number] += 1

    def replace(self, key: K, value: V) -> None:
        """Put a new value in the place of the one under a key that is there."""
        slot = self._slots[key]
        self._writable(slot >> _BITS)[slot & _MASK] = value

    def remove(self, key: K) -> None:
        slot = self._slots.pop(key)
        number = slot >> _BITS
        self._writable(number)[slot & _MASK] = None
        self._live[number] -= 1
        if not self._live[number] and len(self._blocks[number]) == _SIZE:
            del self._blocks[number], self._live[number]
            self._own.discard(number)

    def oldest(self) -> V | None:
        """The value that was added first of those that are still there."""
        if not self._slots:
            return None
        while not self._live.get(self._first):
            self._first += 1
        return next(value for value in self._blocks[self._first] if value is not None)

    def capture(self) -> list[list[V | None]]:
        """The blocks as they are now (None where a value was removed); later changes do not show in them."""
        self._own.clear()
        return list(self._blocks.values())

    def _writable(self, number: int) -> list[V | None]:
        if number not in self._own:
            self._blocks[number] = self._blocks[number].copy()
            self._own.add(number)
        return self._blocks[number]
