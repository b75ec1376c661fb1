"""One transaction for the rows of all shards: four small ones would cost both sides four times as much."""

from collections import defaultdict
from typing import Final

from msgspec import Struct

from paceline.adapters.postgres.connections.session import Connection, Session
from paceline.adapters.postgres.operations import readers
from paceline.adapters.postgres.operations.readers import Move, Standing
from paceline.adapters.postgres.trading import history
from stream.runtime.log_service import Reopen
from stream.writer.rows import Rows

# A transaction writes about as many effects and outputs: large enough that its round trips do not count,
# small enough that there is a next batch to make while Postgres has work.
BATCH: Final = 10_000


class Batch(Struct):
    """The rows of some effects of a shard, where the reader stood before and stands after them, and about
    how many effects and outputs they are."""

    shard: int
    rows: Rows
    move: Move
    size: int


class Storage:
    """Holds what the shards have made until it is stored. Only what a transaction stored moves `standings`.

    Where somebody else moved the reader, nothing of the shard is stored and `check` says so.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._held: list[Batch] = []
        self._lost: set[int] = set()
        self.standings: dict[int, Standing] = {}

    def begin(self, shard: int, standing: Standing) -> None:
        """A shard is opened: what was left of it from before is void."""
        self._held = [batch for batch in self._held if batch.shard != shard]
        self._lost.discard(shard)
        self.standings[shard] = standing

    def put(self, batch: Batch) -> None:
        self._held.append(batch)

    def check(self, shard: int) -> None:
        if shard in self._lost:
            at = self.standings[shard].position
            raise Reopen(f"writer of shard {shard} no longer stands at position {at}")

    async def store_full(self) -> None:
        """Store what is held if it is worth a transaction of its own."""
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
