"""How far the readers of the logs have come (`engine.readers`)."""

from collections.abc import Mapping
from typing import Final, Literal

from msgspec import Struct

from paceline.adapters.postgres.connections.connect import Connection
from paceline.domain.operations.readers import ReaderPosition

Reader = Literal["writer", "router", "bars"]

START: Final = ReaderPosition(0, 0)


class Move(Struct, frozen=True):
    """Moves a reader from `was`, where it must be, to `now`."""

    was: ReaderPosition
    now: ReaderPosition


async def load(connection: Connection, reader: Reader, shard: int) -> ReaderPosition:
    """How far a reader has come; the first call makes its row."""
    await connection.execute(
        "insert into engine.readers (reader, shard) values (%s, %s) on conflict do nothing", (reader, shard)
    )
    return await read(connection, reader, shard)


async def read(connection: Connection, reader: Reader, shard: int) -> ReaderPosition:
    """How far a reader has come that was loaded before."""
    cursor = await connection.execute(
        "select next_position, next_offset from engine.readers where reader = %s and shard = %s",
        (reader, shard),
    )
    row = await cursor.fetchone()
    assert row is not None
    return ReaderPosition(*row)


async def offsets(connection: Connection, shard: int) -> dict[str, int]:
    """By reader the offset of the next record that it needs; readers that never started are missing."""
    cursor = await connection.execute(
        "select reader, next_offset from engine.readers where shard = %s", (shard,)
    )
    return dict(await cursor.fetchall())


async def lock(connection: Connection, reader: Reader, shard: int) -> ReaderPosition:
    """How far a reader has come that was loaded before. It cannot move until the transaction ends."""
    cursor = await connection.execute(
        "select next_position, next_offset from engine.readers where reader = %s and shard = %s for update",
        (reader, shard),
    )
    row = await cursor.fetchone()
    assert row is not None
    return ReaderPosition(*row)


async def advance(connection: Connection, reader: Reader, moves: Mapping[int, Move]) -> set[int]:
    """Move a reader on in these shards, in the transaction of its effects; returns the shards that moved.

    In the other shards another process has moved the reader: effects made for them must not be stored.
    """
    steps = [
        (shard, move.was.position, move.was.offset, move.now.position, move.now.offset)
        for shard, move in moves.items()
    ]
    cursor = await connection.execute(
        "update engine.readers as r set next_position = m.position, next_offset = m.at, updated_at = now() "
        "from unnest(%s::int[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[]) "
        "as m (shard, was_position, was_at, position, at) "
        "where r.reader = %s and r.shard = m.shard "
        "and r.next_position = m.was_position and r.next_offset = m.was_at returning r.shard",
        (*(list(column) for column in zip(*steps, strict=True)), reader),
    )
    return {shard for (shard,) in await cursor.fetchall()}


async def note(connection: Connection, reader: Reader, shard: int, now: ReaderPosition) -> None:
    """Store how far a reader has come whose effects are stored elsewhere; never moves it back."""
    await connection.execute(
        "update engine.readers set next_position = %s, next_offset = %s, updated_at = now() "
        "where reader = %s and shard = %s and next_position < %s",
        (now.position, now.offset, reader, shard, now.position),
    )
