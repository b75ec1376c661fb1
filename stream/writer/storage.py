"""Stores the rows of all shards in one transaction: four small ones would cost four times as much."""

from collections import defaultdict
from typing import Final

from msgspec import Struct

from paceline.adapters.postgres import readers
from paceline.adapters.postgres.connections.connect import Connection
from paceline.adapters.postgres.connections.worker import WorkerConnection
from paceline.adapters.postgres.readers import Move
from paceline.adapters.postgres.trading import history
from paceline.adapters.postgres.trading.effect_rows import Rows
from paceline.domain.operations.readers import ReaderPosition
from stream.runtime.log_service import ReopenShard

# A transaction writes about this many effects and outputs: large enough that its round trips do not count,
# small enough that the next batch can be made while Postgres works.
BATCH: Final = 10_000


class Batch(Struct):
    """The rows of some effects of a shard, the reader's move over them, and their size in effects and outputs
    (about)."""

    shard: int
    rows: Rows
    move: Move
    size: int


class Storage:
    """Holds the shards' batches until they are stored. Only a stored batch moves `standings`.

    If another process has moved a shard's reader, no row of the shard is stored and `check` raises.
    """

    def __init__(self, session: WorkerConnection) -> None:
        self._session = session
        self._held: list[Batch] = []
        self._lost: set[int] = set()
        self.standings: dict[int, ReaderPosition] = {}

    def begin(self, shard: int, standing: ReaderPosition) -> None:
        """Begin a shard that is opened; batches that it left before are dropped."""
        self._held = [batch for batch in self._held if batch.shard != shard]
        self._lost.discard(shard)
        self.standings[shard] = standing

    def put(self, batch: Batch) -> None:
        self._held.append(batch)

    def check(self, shard: int) -> None:
        if shard in self._lost:
            at = self.standings[shard].position
            raise ReopenShard(f"the writer of shard {shard} is no longer at position {at}")

    async def store_full(self) -> None:
        """Store the held batches if they fill a transaction."""
        if sum(batch.size for batch in self._held) >= BATCH:
            await self.store()

    async def store(self) -> None:
        held, self._held = self._held, []
        if not held:
            return
        moves: dict[int, Move] = {}
        for batch in held:
            begun = moves.get(batch.shard, batch.move)
            moves[batch.shard] = Move(begun.was, batch.move.now)

        async def work(connection: Connection) -> set[int]:
            moved = await readers.advance(connection, "writer", moves)
            rows: Rows = defaultdict(list)
            for batch in held:
                if batch.shard in moved:
                    for table, lines in batch.rows.items():
                        rows[table] += lines
            await history.append(connection, rows)
            return moved

        moved = await self._session.transaction(work)
        self._lost |= moves.keys() - moved
        self.standings |= {shard: moves[shard].now for shard in moved}
