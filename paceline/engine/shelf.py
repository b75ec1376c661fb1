"""An ordered collection of frozen values that can be captured in no time while it goes on changing.

Values stand in blocks of 128 in the order in which they were added. A capture takes the blocks; the
first write to a block after that copies the block. So a capture costs nothing per value, and what
it holds never changes. A dictionary beside the blocks finds the value of a key.
"""

from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_BITS = 7
_SIZE = 1 << _BITS
_MASK = _SIZE - 1


class Shelf(Generic[K, V]):
    __slots__ = ("_blocks", "_first", "_gone", "_next", "_own", "_slots", "_tail", "_values", "get")

    def __init__(self) -> None:
        self._values: dict[K, V] = {}
        self.get: Callable[[K], V | None] = self._values.get
        """The value of a key, None if there is none: the dictionary's own method, for this is done most."""
        self._slots: dict[K, int] = {}
        self._blocks: dict[int, list[V | None]] = {}
        self._gone: dict[int, int] = {}  # how many values of a block were removed
        self._own: set[int] = set()
        self._tail: list[V | None] = []  # the block that takes the next value, while it is ours to write
        self._first = 0
        self._next = 0

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: K) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[V]:
        """The values in the order in which they were added."""
        return (value for block in self._blocks.values() for value in block if value is not None)

    def add(self, key: K, value: V) -> None:
        """Add a value under a key that is not there yet."""
        slot = self._next
        if not slot & _MASK or not self._tail:
            self._find_tail()
        self._tail.append(value)
        self._next = slot + 1
        self._slots[key] = slot
        self._values[key] = value

    def replace(self, key: K, value: V) -> None:
        """Put a new value in the place of the one under a key that is there."""
        slot = self._slots[key]
        number = slot >> _BITS
        block = self._blocks[number] if number in self._own else self._writable(number)
        block[slot & _MASK] = value
        self._values[key] = value

    def remove(self, key: K) -> None:
        del self._values[key]
        slot = self._slots.pop(key)
        number = slot >> _BITS
        self._writable(number)[slot & _MASK] = None
        gone = self._gone.get(number, 0) + 1
        self._gone[number] = gone
        if gone == _SIZE:
            del self._blocks[number], self._gone[number]
            self._own.discard(number)

    def oldest(self) -> V | None:
        """The value that was added first of those that are still there."""
        if not self._values:
            return None
        while self._first not in self._blocks:
            self._first += 1
        return next(value for value in self._blocks[self._first] if value is not None)

    def capture(self) -> list[list[V | None]]:
        """The blocks as they are now (None where a value was removed); later changes do not show in them."""
        self._own.clear()
        self._tail = []
        return list(self._blocks.values())

    def _find_tail(self) -> None:
        """The last block, or a new one where that is full."""
        number = self._next >> _BITS
        if not self._next & _MASK:
            self._blocks[number] = []
            self._own.add(number)
        self._tail = self._writable(number)

    def _writable(self, number: int) -> list[V | None]:
        if number not in self._own:
            self._blocks[number] = self._blocks[number].copy()
            self._own.add(number)
        return self._blocks[number]
