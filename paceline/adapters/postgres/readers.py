"""Where the readers of `engine.out` stand (`engine.readers`)."""

from typing import Final, Literal

from msgspec import Struct

from paceline.adapters.postgres.session import Connection
from paceline.core.errors import PermanentError

Reader = Literal["writer", "router"]


class Standing(Struct, frozen=True):
    """Position of the next effect and Kafka offset of the next record that a reader wants."""

    position: int
    offset: int


START: Final = Standing(0, 0)


class NotTheOwner(Exception):
    """Somebody else moved the reader's row: this process must not go on from what it remembers."""


async def load(connection: Connection, reader: Reader, shard: int) -> Standing:
    """The standing of a reader, whose row is made if it is the first time."""
    await connection.execute(
        "insert into engine.readers (reader, shard) values (%s, %s) on conflict do nothing", (reader, shard)
    )
    return await read(connection, reader, shard)


async def read(connection: Connection, reader: Reader, shard: int) -> Standing:
    """The standing of a reader that was loaded before."""
    cursor = await connection.execute(
        "select next_position, next_offset from engine.readers where reader = %s and shard = %s",
        (reader, shard),
    )
    row = await cursor.fetchone()
    assert row is not None
    return Standing(*row)


async def advance(connection: Connection, reader: Reader, shard: int, was: Standing, now: Standing) -> None:
    """Move a reader on, in the transaction of its effects; `NotTheOwner` if it is not where we left it."""
    cursor = await connection.execute(
        "update engine.readers set next_position = %s, next_offset = %s, updated_at = now() "
        "where reader = %s and shard = %s and next_position = %s and next_offset = %s",
        (now.position, now.offset, reader, shard, was.position, was.offset),
    )
    if cursor.rowcount != 1:
        raise NotTheOwner(f"{reader} of shard {shard} no longer stands at position {was.position}")


async def note(connection: Connection, reader: Reader, shard: int, now: Standing) -> None:
    """Write down, never backwards, how far a reader has come whose effects are elsewhere."""
    await connection.execute(
        "update engine.readers set next_position = %s, next_offset = %s, updated_at = now() "
        "where reader = %s and shard = %s and next_position < %s",
        (now.position, now.offset, reader, shard, now.position),
    )


def check_reach(reader: str, shard: int, standing: Standing, begin: int, end: int) -> None:
    """`PermanentError` unless the log, holding offsets `[begin, end)`, goes on where the reader stands."""
    if begin <= standing.offset <= end:
        return
    raise PermanentError(
        f"The {reader} stands at offset {standing.offset} of engine.out, shard {shard}, but the log holds "
        f"offsets {begin} to {end}: topic and database are not of the same installation, or the log was cut."
    )
