"""Prices that wait for the log. Bounded: old prices lose their value, so a full buffer keeps the newest."""

from collections import deque
from typing import Final

from paceline.messages.inbound import PriceUpdate

BOUND: Final = 5_000


class PriceBuffer:
    """First in, first out. Beyond `bound` only the newest of each symbol stays; `dropped` counts the rest."""

    def __init__(self, bound: int = BOUND) -> None:
        self._bound = bound
        self._waiting: deque[PriceUpdate] = deque()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, update: PriceUpdate) -> None:
        self._waiting.append(update)
        if len(self._waiting) > self._bound:
            newest = {waiting.symbol: waiting for waiting in self._waiting}
            self.dropped += len(self._waiting) - len(newest)
            self._waiting = deque(newest.values())

    def take(self, most: int) -> list[PriceUpdate]:
        """Remove and return the oldest updates, at most `most`."""
        return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
