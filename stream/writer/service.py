"""Batches of `engine.out` into Postgres: rows and the reader's position in one transaction.

While Postgres stores a batch, the rows of the next one are made.
"""

import asyncio
from typing import Any, Final

from msgspec import Struct

from paceline.adapters.kafka.log_reader import LogBounds, Record
from paceline.adapters.postgres import history, installation, readers
from paceline.adapters.postgres.readers import NotTheOwner, Standing
from paceline.adapters.postgres.session import Connection, Session
from paceline.domain.open_trade import OpenTrade
from paceline.messages.outbound import Effect
from stream.effect_batches import effect_batches
from stream.log_service import Reopen
from stream.writer.rows import RowMaker, Rows, trades_wanted

# A transaction writes about as many effects and outputs: large enough that its round trips do not count,
# small enough that there is a next batch to make while Postgres has work.
_BATCH: Final = 10_000
# After so many outputs, about a millisecond of work, Postgres and all others get their turn.
_SLICE_OUTPUTS: Final = 100
_TRADES_KEPT: Final = 50_000


class Batch(Struct):
    """The rows of some effects, and where the reader stood before and stands after them."""

    rows: Rows
    was: Standing
    now: Standing


class WriterShard:
    """Writes one shard's effects. Only what a transaction stored moves `standing`.

    `reads` is a connection beside that of the transactions. What it reads lies before all that is under way:
    of that, `_trades` knows.
    """

    def __init__(self, shard: int, session: Session, reads: Session, standing: Standing) -> None:
        self._shard = shard
        self._session = session
        self._reads = reads
        self._standing = standing
        self._trades: dict[str, OpenTrade] = {}

    @property
    def next_offset(self) -> int:
        return self._standing.offset

    async def handle(self, records: list[Record]) -> None:
        made: Batch | None = None
        was = self._standing
        for effects, now in effect_batches(records, was, _BATCH):
            # Both are waited for whatever becomes of one: none may work on behind a shard that is given up.
            next_one, stored = await asyncio.gather(
                self._make(effects, was, now), self._store(made), return_exceptions=True
            )
            if isinstance(stored, BaseException):
                raise stored
            if isinstance(next_one, BaseException):
                raise next_one
            made, was = next_one, now
        await self._store(made)

    async def _make(self, effects: list[Effect], was: Standing, now: Standing) -> Batch:
        wanted = trades_wanted(effects)
        trades = {trade: self._trades[trade] for trade in wanted if trade in self._trades}
        if unknown := wanted - trades.keys():
            trades |= await self._reads.transaction(lambda c: history.trades_before(c, unknown, was.position))
        maker = RowMaker(self._shard, trades)
        outputs = 0
        for effect in effects:
            maker.add(effect)
            outputs += len(effect.outputs)
            if outputs >= _SLICE_OUTPUTS:
                outputs = 0
                await asyncio.sleep(0)
        self._remember(maker.trades)
        return Batch(maker.rows, was, now)

    async def _store(self, batch: Batch | None) -> None:
        if batch is None:
            return

        async def work(connection: Connection) -> None:
            await history.append(connection, batch.rows)
            await readers.advance(connection, "writer", self._shard, batch.was, batch.now)

        try:
            await self._session.transaction(work)
        except NotTheOwner as error:
            raise Reopen(str(error)) from error
        self._standing = batch.now

    def _remember(self, trades: dict[str, OpenTrade]) -> None:
        """Keep the trades used last; those that have ended are never asked for again."""
        for trade in trades.values():
            self._trades.pop(trade.trade, None)
            if trade.quantity:
                self._trades[trade.trade] = trade
        while len(self._trades) > _TRADES_KEPT:
            del self._trades[next(iter(self._trades))]

    async def tick(self) -> None:
        """The writer keeps nothing back between rounds."""

    async def close(self) -> None:
        """All that was handled is stored already."""

    def health(self) -> dict[str, Any]:
        return {"next_position": self._standing.position, "next_offset": self._standing.offset}


class Writer:
    """Opens the writer's shards over one connection for transactions and one for what they need to know."""

    def __init__(self, database_url: str, shards: int) -> None:
        self._session = Session(database_url, "paceline-writer", history.prepare)
        self._reads = Session(database_url, "paceline-writer-reads")
        self._shards = shards

    async def start(self) -> None:
        await self._session.transaction(lambda c: installation.ensure_shards(c, self._shards))

    async def open(self, shard: int, bounds: LogBounds) -> WriterShard:
        standing = await self._session.transaction(lambda c: readers.load(c, "writer", shard))
        readers.check_reach("writer", shard, standing, bounds.begin, bounds.end)
        return WriterShard(shard, self._session, self._reads, standing)

    async def stop(self) -> None:
        await self._session.close()
        await self._reads.close()
