"""Batches of `engine.out` into Postgres: rows and the reader's position in one transaction."""

from typing import Any, Final

from paceline.adapters.kafka.log_reader import LogBounds, Record
from paceline.adapters.postgres import history, installation, readers
from paceline.adapters.postgres.readers import NotTheOwner, Standing
from paceline.adapters.postgres.session import Connection, Session
from paceline.domain.open_trade import OpenTrade
from paceline.messages.outbound import Effect
from stream.effect_batches import effect_batches
from stream.log_service import Reopen
from stream.writer.rows import RowMaker, trades_wanted

# A transaction writes about as many effects; more of them gain little and hold more memory.
_BATCH_EFFECTS: Final = 5_000
_TRADES_KEPT: Final = 50_000


class WriterShard:
    """Writes one shard's effects. Only what the transaction stored moves `standing`."""

    def __init__(self, shard: int, session: Session, standing: Standing) -> None:
        self._shard = shard
        self._session = session
        self._standing = standing
        self._trades: dict[str, OpenTrade] = {}

    @property
    def next_offset(self) -> int:
        return self._standing.offset

    async def handle(self, records: list[Record]) -> None:
        for effects, now in effect_batches(records, self._standing, _BATCH_EFFECTS):
            await self._write(effects, now)

    async def _write(self, effects: list[Effect], now: Standing) -> None:
        try:
            trades = await self._session.transaction(lambda c: self._store(c, effects, now))
        except NotTheOwner as error:
            raise Reopen(str(error)) from error
        self._standing = now
        self._remember(trades)

    async def _store(
        self, connection: Connection, effects: list[Effect], now: Standing
    ) -> dict[str, OpenTrade]:
        wanted = trades_wanted(effects)
        trades = {trade: self._trades[trade] for trade in wanted if trade in self._trades}
        if unknown := wanted - trades.keys():
            trades |= await history.trades_before(connection, unknown, self._standing.position)
        maker = RowMaker(self._shard, trades)
        for effect in effects:
            maker.add(effect)
        await history.append(connection, maker.rows)
        await readers.advance(connection, "writer", self._shard, self._standing, now)
        return maker.trades

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
    """Opens the writer's shards over one connection."""

    def __init__(self, database_url: str, shards: int) -> None:
        self._session = Session(database_url, "paceline-writer", history.prepare)
        self._shards = shards

    async def start(self) -> None:
        await self._session.transaction(lambda c: installation.ensure_shards(c, self._shards))

    async def open(self, shard: int, bounds: LogBounds) -> WriterShard:
        standing = await self._session.transaction(lambda c: readers.load(c, "writer", shard))
        readers.check_reach("writer", shard, standing, bounds.begin, bounds.end)
        return WriterShard(shard, self._session, standing)

    async def stop(self) -> None:
        await self._session.close()
