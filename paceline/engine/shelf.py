"""An ordered collection of frozen values that can be captured in no time while it goes on changing.

Values stand in blocks of 128 in the order in which they were added. A capture takes the blocks; the
first write to a block after that copies the block. So a capture costs nothing per value, and what
it holds never changes. A dictionary finds the slot of a key.
"""

from collections.abc import Hashable, Iterator
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_BITS: Final = 7
SIZE: Final = 1 << 7
_MASK: Final = SIZE - 1


class Block(Generic[V]):
    """`values`: up to 128, None where one was removed. It is ours to write in the shelf's epoch `epoch`."""

    __slots__ = ("epoch", "gone", "values")

    def __init__(self, epoch: int) -> None:
        self.values: list[V | None] = []
        self.epoch = epoch
        self.gone = 0


class Shelf(Generic[K, V]):
    __slots__ = ("_blocks", "_epoch", "_first", "_next", "_slots", "_tail")

    def __init__(self) -> None:
        self._slots: dict[K, int] = {}
        self._blocks: dict[int, Block[V]] = {}
        self._epoch = 0  # number of captures
        self._tail: Block[V] = Block(0)  # the block that takes the next value
        self._first = 0
        self._next = 0

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, key: K) -> bool:
        return key in self._slots

    def __iter__(self) -> Iterator[V]:
        """The values in the order in which they were added."""
        for block in self._blocks.values():
            for value in block.values:
                if value is not None:
                    yield value

    def get(self, key: K) -> V | None:
        slot = self._slots.get(key)
        return None if slot is None else self._blocks[slot >> _BITS].values[slot & _MASK]

    def add(self, key: K, value: V) -> None:
        """Add a value under a key that is not there yet."""
        slot = self._next
        if not slot & _MASK:
            self._tail = self._blocks[slot >> _BITS] = Block(self._epoch)
        self._values(self._tail).append(value)
        self._next = slot + 1
        self._slots[key] = slot

    def replace(self, key: K, value: V) -> None:
        """Put a new value in the place of the one under a key that is there."""
        slot = self._slots[key]
        self._values(self._blocks[slot >> _BITS])[slot & _MASK] = value

    def remove(self, key: K) -> None:
        slot = self._slots.pop(key)
        number = slot >> _BITS
        block = self._blocks[number]
        self._values(block)[slot & _MASK] = None
        block.gone += 1
        if block.gone == SIZE:
            del self._blocks[number]

    def oldest(self) -> V | None:
        """The value that was added first of those that are still there."""
        if not self._slots:
            return None
        while self._first not in self._blocks:
            self._first += 1
        return next(value for value in self._blocks[self._first].values if value is not None)

    def capture(self) -> list[tuple[int, list[V | None]]]:
        """The blocks as they are now (None where a value was removed), each with its number, which it keeps.

        Later changes do not show in them.
        """
        self._epoch += 1
        return [(number, block.values) for number, block in self._blocks.items()]

    def _values(self, block: Block[V]) -> list[V | None]:
        """A block's values, to be written: their copy, where a capture holds them."""
        if block.epoch != self._epoch:
            block.values = block.values.copy()
            block.epoch = self._epoch
        return block.values
