"""How far the engine and the readers of a shard have come: snapshots and `engine.readers`."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import psycopg

from paceline.adapters.postgres import readers
from paceline.adapters.postgres.connections.connect import Connection
from paceline.adapters.postgres.connections.worker import WorkerConnection
from paceline.adapters.postgres.operations import snapshots
from paceline.core.errors import TransientError
from paceline.ports.operations import SnapshotPlace

T = TypeVar("T")


class PostgresStoredProgress:
    """Each call has a connection of its own."""

    def __init__(self, url: str, patience_s: float = 5.0) -> None:
        self._url = url
        self._patience_s = patience_s

    async def snapshots(self, shard: int) -> list[SnapshotPlace]:
        stored = await self._read(lambda c: snapshots.list_whole(c, shard))
        return [
            SnapshotPlace(one.generation, one.head.position, one.head.next_offset, one.head.state_hash)
            for one in stored
        ]

    async def chunks(self, shard: int, generation: int) -> list[bytes]:
        return await self._read(lambda c: snapshots.load_chunks(c, shard, generation))

    async def reader_offsets(self, shard: int) -> Mapping[str, int]:
        return await self._read(lambda c: readers.offsets(c, shard))

    async def _read(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        session = WorkerConnection(self._url, "paceline-archive", patience_s=self._patience_s)
        try:
            return await session.transaction(work)
        except psycopg.Error as error:
            raise TransientError(f"The database cannot be read: {str(error).strip()[:300]}") from error
        finally:
            await session.close()
