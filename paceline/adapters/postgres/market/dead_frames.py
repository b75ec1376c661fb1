"""Frames that the feed cannot use, with the reason (`market.dead_letters`); only the newest are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from paceline.adapters.postgres.connections.connect import Connection

KEPT_ROWS = 10_000


@dataclass(frozen=True)
class DeadFrame:
    at: datetime
    venue: str
    reason: str
    raw: bytes


async def store_dead_frames(
    connection: Connection, frames: Sequence[DeadFrame], kept_rows: int = KEPT_ROWS
) -> None:
    """Add frames, and remove the oldest rows beyond `kept_rows`."""
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "insert into market.dead_letters (at, venue, reason, raw) values (%s, %s, %s, %s)",
            [(frame.at, frame.venue, frame.reason, frame.raw) for frame in frames],
        )
        await cursor.execute(
            "delete from market.dead_letters where id <= "
            "(select id from market.dead_letters order by id desc offset %s limit 1)",
            (kept_rows,),
        )
