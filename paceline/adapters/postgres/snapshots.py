"""Snapshots of the engine's state, in chunks, two generations a shard."""

from collections.abc import Sequence

from msgspec import Struct

from paceline.adapters.postgres.session import Connection


class SnapshotHead(Struct, frozen=True):
    """What a snapshot says of itself. `next_offset` is that of the first record after it on `engine.in`."""

    shard: int
    position: int
    next_offset: int
    log_time_us: int
    state_hash: str
    schema_version: int
    code_version: str


class StoredSnapshot(Struct, frozen=True):
    generation: int
    head: SnapshotHead


_COLUMNS = "shard, position, next_offset, log_time_us, state_hash, schema_version, code_version"


async def list_whole(connection: Connection, shard: int) -> list[StoredSnapshot]:
    """The whole snapshots of a shard, newest first."""
    cursor = await connection.execute(
        f"select generation, {_COLUMNS} from engine.snapshots where shard = %s and complete "
        "order by position desc, created_at desc",
        (shard,),
    )
    return [StoredSnapshot(row[0], SnapshotHead(*row[1:])) for row in await cursor.fetchall()]


async def load_chunks(connection: Connection, shard: int, generation: int) -> list[bytes]:
    """The chunks of a snapshot in their order, as JSON text."""
    cursor = await connection.execute(
        "select data::text from engine.snapshot_chunks where shard = %s and generation = %s order by ordinal",
        (shard, generation),
    )
    return [row[0].encode() for row in await cursor.fetchall()]


async def store(connection: Connection, head: SnapshotHead, chunks: Sequence[bytes]) -> bool:
    """Put a snapshot in the place of the older generation, in the caller's transaction.

    False, and nothing changed, when a snapshot at a higher position is there. One at the same position
    holds the same state: it only becomes the newest again.
    """
    await connection.execute("select pg_advisory_xact_lock(72201, %s)", (head.shard,))
    stored = await list_whole(connection, head.shard)
    if stored and stored[0].head.position > head.position:
        return False
    if stored and stored[0].head == head:
        await connection.execute(
            "update engine.snapshots set created_at = now() where shard = %s and generation = %s",
            (head.shard, stored[0].generation),
        )
        return True
    generation = 1 - stored[0].generation if stored else 0
    key = (head.shard, generation)
    await connection.execute("delete from engine.snapshots where shard = %s and generation = %s", key)
    await connection.execute(
        f"insert into engine.snapshots (generation, chunks, {_COLUMNS}) "
        "values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            generation,
            len(chunks),
            head.shard,
            head.position,
            head.next_offset,
            head.log_time_us,
            head.state_hash,
            head.schema_version,
            head.code_version,
        ),
    )
    for ordinal, chunk in enumerate(chunks):
        await connection.execute(
            "insert into engine.snapshot_chunks (shard, generation, ordinal, data) values (%s, %s, %s, %s)",
            (*key, ordinal, chunk.decode()),
        )
    await connection.execute(
        "update engine.snapshots set complete = true where shard = %s and generation = %s", key
    )
    return True
