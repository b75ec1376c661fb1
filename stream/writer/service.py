"""Writes batches of `engine.out` to Postgres: rows and the reader's position in one transaction.

While Postgres stores one batch, the rows of the next are made.
"""

import asyncio
from typing import Any, Final

from paceline.adapters.postgres import readers
from paceline.adapters.postgres.connections.worker import WorkerConnection
from paceline.adapters.postgres.operations import installation
from paceline.adapters.postgres.readers import Move
from paceline.adapters.postgres.trading import history
from paceline.adapters.postgres.trading.effect_rows import RowMaker, trades_wanted
from paceline.domain.operations.readers import OffsetRange, ReaderPosition, Record, check_reach
from paceline.domain.trading.open_trade import OpenTrade
from paceline.messages.outbound import Effect
from stream.runtime.effect_batches import effect_batches
from stream.writer.storage import BATCH, Batch, Storage

# After this many outputs (about 1 ms of work), Postgres and other tasks get their turn.
_SLICE_OUTPUTS: Final = 100
_MAX_TRADES: Final = 50_000


class WriterShard:
    """Makes one shard's rows. They are stored at the end of a round, with those of the other shards.

    `reads` is a second connection, besides that of the transactions. It reads only what is stored; `_trades`
    holds the changes that are still under way.
    """

    def __init__(
        self, shard: int, storage: Storage, reads: WorkerConnection, standing: ReaderPosition
    ) -> None:
        self._shard = shard
        self._storage = storage
        self._reads = reads
        self._made = standing
        # Open trades, the last changed ones last.
        self._trades: dict[str, OpenTrade] = {}

    @property
    def next_offset(self) -> int:
        return self._made.offset

    async def handle(self, records: list[Record]) -> None:
        for effects, now in effect_batches(records, self._made, BATCH):
            # Both are awaited even if one fails: neither may go on after the shard is given up.
            made, stored = await asyncio.gather(
                self._make(effects, now), self._storage.store_full(), return_exceptions=True
            )
            if isinstance(stored, BaseException):
                raise stored
            if isinstance(made, BaseException):
                raise made
            self._storage.check(self._shard)
            self._storage.put(made)
            self._made = now

    async def _make(self, effects: list[Effect], now: ReaderPosition) -> Batch:
        was = self._made
        if unknown := trades_wanted(effects) - self._trades.keys():
            self._trades |= await self._reads.transaction(
                lambda c: history.trades_before(c, unknown, was.position)
            )
        maker = RowMaker(self._shard, self._trades)
        size = outputs = 0
        for effect in effects:
            maker.add(effect)
            outputs += len(effect.outputs)
            if outputs >= _SLICE_OUTPUTS:
                size += outputs
                outputs = 0
                await asyncio.sleep(0)
        while len(self._trades) > _MAX_TRADES:
            del self._trades[next(iter(self._trades))]
        return Batch(self._shard, maker.rows, Move(was, now), size + outputs + len(effects))

    async def tick(self) -> None:
        """Store the round; the first tick of a round does it for all shards."""
        await self._storage.store()
        self._storage.check(self._shard)

    async def close(self) -> None:
        await self._storage.store()

    def health(self) -> dict[str, Any]:
        stored = self._storage.standings[self._shard]
        return {"next_position": stored.position, "next_offset": stored.offset}


class WriterOpener:
    """Opens the writer's shards, with one connection for transactions and one for reads."""

    def __init__(self, database_url: str, shards: int) -> None:
        self._session = WorkerConnection(database_url, "paceline-writer", history.prepare)
        self._storage = Storage(self._session)
        self._reads = WorkerConnection(database_url, "paceline-writer-reads")
        self._shards = shards

    async def start(self) -> None:
        await self._session.transaction(lambda c: installation.ensure_shards(c, self._shards))

    async def open(self, shard: int, bounds: OffsetRange) -> WriterShard:
        standing = await self._session.transaction(lambda c: readers.load(c, "writer", shard))
        check_reach("writer", shard, standing, bounds.begin, bounds.end)
        self._storage.begin(shard, standing)
        return WriterShard(shard, self._storage, self._reads, standing)

    async def stop(self) -> None:
        await self._session.close()
        await self._reads.close()
