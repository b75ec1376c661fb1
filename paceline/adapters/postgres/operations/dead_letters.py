"""Messages of the log that cannot be decoded (`engine.dead_letters`)."""

from collections.abc import Sequence

from msgspec import Struct

from paceline.adapters.postgres.connections.connect import Connection

# The log keeps the whole message; the table is for people to look at.
LONGEST_RAW_BYTES = 64 * 1024


class DeadLetter(Struct, frozen=True):
    shard: int
    position: int
    reason: str
    raw: bytes


async def store(connection: Connection, source: str, letters: Sequence[DeadLetter]) -> None:
    """Store dead letters; existing ones stay as they are."""
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "insert into engine.dead_letters (source, shard, position, reason, raw) "
            "values (%s, %s, %s, %s, %s) on conflict do nothing",
            [
                (source, x.shard, x.position, x.reason.replace("\x00", "␀")[:1000], x.raw[:LONGEST_RAW_BYTES])
                for x in letters
            ],
        )
