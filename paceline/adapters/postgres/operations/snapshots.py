"""Snapshots of the engine's state, in chunks, two generations per shard.

With a day's answers the state has a hundred megabytes, of which a few hundred rows change between two
snapshots: only chunks that do not exist yet are stored.
"""

import hashlib
from collections.abc import Mapping, Sequence, Set

from msgspec import Struct

from paceline.adapters.postgres.connections.connect import Connection, connect
from paceline.domain.operations.readers import ReaderPosition


class SnapshotHead(Struct, frozen=True):
    """The metadata of a snapshot. `next_offset` is that of the first record after it on `engine.in`."""

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


Digests = Mapping[int, Set[bytes]]
"""Digests of the chunks that a caller has stored itself, by generation."""


class Chunk(Struct, frozen=True):
    """A chunk as the engine encoded it, and its SHA-256."""

    digest: bytes
    data: bytes


def chunk_of(data: bytes) -> Chunk:
    return Chunk(hashlib.sha256(data).digest(), data)


_COLUMNS = "shard, position, next_offset, log_time_us, state_hash, schema_version, code_version"


async def list_whole(connection: Connection, shard: int) -> list[StoredSnapshot]:
    """The complete snapshots of a shard, newest first."""
    cursor = await connection.execute(
        f"select generation, {_COLUMNS} from engine.snapshots where shard = %s and complete "  # noqa: S608 - parts are constants of this module, values are bound
        "order by position desc, created_at desc",
        (shard,),
    )
    return [StoredSnapshot(row[0], SnapshotHead(*row[1:])) for row in await cursor.fetchall()]


async def places(url: str, shard: int) -> list[ReaderPosition]:
    """Where the whole snapshots of a shard were taken, newest first."""
    async with await connect(url, "paceline-snapshots") as connection:
        heads = [stored.head for stored in await list_whole(connection, shard)]
    return [ReaderPosition(head.position, head.next_offset) for head in heads]


async def load_chunks(connection: Connection, shard: int, generation: int) -> list[bytes]:
    """The chunks of a snapshot in order, as JSON text."""
    cursor = await connection.execute(
        "select data::text from engine.snapshot_chunks where shard = %s and generation = %s order by ordinal",
        (shard, generation),
    )
    return [row[0].encode() for row in await cursor.fetchall()]


async def store(
    connection: Connection, head: SnapshotHead, chunks: Sequence[Chunk], ours: Digests
) -> Digests | None:
    """Replace the older generation by a snapshot, in the caller's transaction; returns the new `ours`.

    A chunk of that generation that is in `ours` stays as it is. Chunks of other processes are stored again,
    because they have not been verified since. Each generation has its own copy of all chunks, so damage to
    one does not affect the other.

    Returns None and changes nothing if a snapshot at a higher position exists. One at the same position has
    the same state: it only becomes the newest again.
    """
    await connection.execute("select pg_advisory_xact_lock(72201, %s)", (head.shard,))
    stored = await list_whole(connection, head.shard)
    if stored and stored[0].head.position > head.position:
        return None
    if stored and stored[0].head == head:
        await connection.execute(
            "update engine.snapshots set created_at = now() where shard = %s and generation = %s",
            (head.shard, stored[0].generation),
        )
        return ours
    generation = 1 - stored[0].generation if stored else 0
    await _store_head(connection, head, generation, len(chunks))
    await _store_chunks(connection, head.shard, generation, chunks, ours.get(generation, frozenset()))
    return {**ours, generation: {chunk.digest for chunk in chunks}}


async def _store_head(connection: Connection, head: SnapshotHead, generation: int, chunks: int) -> None:
    await connection.execute(
        f"insert into engine.snapshots (generation, chunks, complete, {_COLUMNS}) "  # noqa: S608 - parts are constants of this module, values are bound
        "values (%s, %s, true, %s, %s, %s, %s, %s, %s, %s) on conflict (shard, generation) do update set "
        "(chunks, complete, position, next_offset, log_time_us, state_hash, schema_version, code_version, "
        "created_at) = (excluded.chunks, true, excluded.position, excluded.next_offset, "
        "excluded.log_time_us, excluded.state_hash, excluded.schema_version, excluded.code_version, now())",
        (
            generation,
            chunks,
            head.shard,
            head.position,
            head.next_offset,
            head.log_time_us,
            head.state_hash,
            head.schema_version,
            head.code_version,
        ),
    )


async def _store_chunks(
    connection: Connection, shard: int, generation: int, chunks: Sequence[Chunk], ours: Set[bytes]
) -> None:
    kept = [chunk.digest for chunk in chunks if chunk.digest in ours]
    cursor = await connection.execute(
        "with gone as (delete from engine.snapshot_chunks where shard = %(shard)s "
        "and generation = %(generation)s and not digest = any(%(kept)s)) "
        "select digest, ordinal from engine.snapshot_chunks where shard = %(shard)s "
        "and generation = %(generation)s and digest = any(%(kept)s)",
        {"shard": shard, "generation": generation, "kept": kept},
    )
    existing: dict[bytes, int] = dict(await cursor.fetchall())
    moved: dict[bytes, int] = {}
    for ordinal, chunk in enumerate(chunks):
        if chunk.digest not in existing:
            await connection.execute(
                "insert into engine.snapshot_chunks (shard, generation, ordinal, digest, data) "
                "values (%s, %s, %s, %s, %s)",
                (shard, generation, ordinal, chunk.digest, chunk.data.decode()),
            )
        elif existing[chunk.digest] != ordinal:
            moved[chunk.digest] = ordinal
    await connection.execute(
        "update engine.snapshot_chunks as chunk set ordinal = moved.ordinal "
        "from unnest(%s::bytea[], %s::int[]) as moved (digest, ordinal) "
        "where chunk.shard = %s and chunk.generation = %s and chunk.digest = moved.digest",
        (list(moved), list(moved.values()), shard, generation),
    )
