"""An ordered, copy-on-write collection of frozen values. A capture of it takes almost no time.

Values are stored in blocks of 128, in the order in which they were added. A capture takes references to the
blocks; the first write to a block after that copies the block. So a capture costs nothing per value, and its
content never changes. A dictionary maps a key to its slot.
"""

from collections.abc import Hashable, Iterator
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_SLOT_BITS: Final = 7
SIZE: Final = 1 << 7
_SLOT_MASK: Final = SIZE - 1


class Block(Generic[V]):
    """`values`: up to 128, None where one was removed. Writable while the shelf's epoch is `epoch`."""

    __slots__ = ("epoch", "removed", "values")

    def __init__(self, epoch: int) -> None:
        self.values: list[V | None] = []
        self.epoch = epoch
        self.removed = 0


class CopyOnWriteStore(Generic[K, V]):
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
        return None if slot is None else self._blocks[slot >> _SLOT_BITS].values[slot & _SLOT_MASK]

    def add(self, key: K, value: V) -> None:
        """Add a value under a new key."""
        slot = self._next
        if not slot & _SLOT_MASK:
            self._tail = self._blocks[slot >> _SLOT_BITS] = Block(self._epoch)
        self._writable_values(self._tail).append(value)
        self._next = slot + 1
        self._slots[key] = slot

    def replace(self, key: K, value: V) -> None:
        """Replace the value under an existing key."""
        slot = self._slots[key]
        self._writable_values(self._blocks[slot >> _SLOT_BITS])[slot & _SLOT_MASK] = value

    def remove(self, key: K) -> None:
        slot = self._slots.pop(key)
        number = slot >> _SLOT_BITS
        block = self._blocks[number]
        self._writable_values(block)[slot & _SLOT_MASK] = None
        block.removed += 1
        if block.removed == SIZE:
            del self._blocks[number]

    def oldest(self) -> V | None:
        """The value that was added first among those not removed."""
        if not self._slots:
            return None
        while self._first not in self._blocks:
            self._first += 1
        return next(value for value in self._blocks[self._first].values if value is not None)

    def capture(self) -> list[tuple[int, list[V | None]]]:
        """The current blocks, each with its constant number (None where a value was removed).

        Later changes do not affect them.
        """
        self._epoch += 1
        return [(number, block.values) for number, block in self._blocks.items()]

    def _writable_values(self, block: Block[V]) -> list[V | None]:
        """A block's values for writing. They are copied first if a capture holds them."""
        if block.epoch != self._epoch:
            block.values = block.values.copy()
            block.epoch = self._epoch
        return block.values
