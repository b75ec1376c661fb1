"""Prices of `engine.in` into one-minute bars: parts of bars and the reader's position in one transaction.

Prices go to every shard, so shard 0 alone is read.
"""

import asyncio
import time
from typing import Any, Final

from paceline.domain.market.bars import PRICE_SHARD, BarMaker
from paceline.domain.operations.readers import OffsetRange, ReaderPosition, Record, check_reach
from paceline.messages.log_form import decode_messages
from paceline.ports.market import BarStore, StoredBars
from stream.runtime.log_service import ReopenShard

NAME: Final = "bars"

# A bar of a minute is in no hurry, but the nightly run and `log archive --cut` wait for its reader.
_STORE_EVERY_S: Final = 1.0
# A transaction stores about as many parts, or what came of so many messages.
_MOST_PARTS: Final = 5_000
_MOST_MESSAGES: Final = 200_000
# After so many messages, about a millisecond of work, heartbeat and reader get their turn.
_SLICE: Final = 1_000


class BarsShard:
    """Makes parts of bars and stores them once a second, or sooner when there are many."""

    def __init__(self, store: BarStore, stored: StoredBars) -> None:
        self._store = store
        self._maker = BarMaker(stored.last_update_ids)
        self._stored = self._read = stored.at
        self._stored_at_s = time.monotonic()

    @property
    def next_offset(self) -> int:
        return self._read.offset

    async def handle(self, records: list[Record]) -> None:
        slice_ = 0
        for record in records:
            messages = decode_messages(record.value)
            self._maker.add(messages)
            self._read = ReaderPosition(self._read.position + len(messages), record.offset + 1)
            if self._is_full():
                await self._append()
            slice_ += len(messages)
            if slice_ >= _SLICE:
                slice_ = 0
                await asyncio.sleep(0)

    def _is_full(self) -> bool:
        waiting = self._read.position - self._stored.position
        return len(self._maker) >= _MOST_PARTS or waiting >= _MOST_MESSAGES

    async def tick(self) -> None:
        if time.monotonic() - self._stored_at_s >= _STORE_EVERY_S:
            await self._append()

    async def close(self) -> None:
        await self._append()

    async def _append(self) -> None:
        self._stored_at_s = time.monotonic()
        if self._read == self._stored:
            return
        now = self._read
        if not await self._store.append(self._maker.take(), self._stored, now):
            raise ReopenShard(
                f"{NAME} of shard {PRICE_SHARD} are no longer at position {self._stored.position}"
            )
        self._stored = now

    def health(self) -> dict[str, Any]:
        return {"next_position": self._stored.position, "next_offset": self._stored.offset}


class BarsOpener:
    """Opens shard 0 where the stored bars end."""

    def __init__(self, store: BarStore) -> None:
        self._store = store

    async def start(self) -> None:
        """Nothing: the store connects when it is needed."""

    async def open(self, shard: int, bounds: OffsetRange) -> BarsShard:
        assert shard == PRICE_SHARD, "prices are read from one shard only"
        stored = await self._store.load()
        check_reach(NAME, shard, stored.at, bounds.begin, bounds.end)
        return BarsShard(self._store, stored)

    async def stop(self) -> None:
        await self._store.close()
