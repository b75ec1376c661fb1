"""What the feed keeps in Postgres: bars, and frames it could not use. Both wait while Postgres is away."""

import asyncio
import time
from collections import deque
from datetime import UTC, datetime
from typing import Final

import structlog

from paceline.adapters.postgres.connections.session import AWAY, Session
from paceline.adapters.postgres.market.bars import merge_bars
from paceline.adapters.postgres.market.dead_frames import DeadFrame, store_dead_frames
from paceline.core.times import MINUTE_US, SECOND_US
from paceline.domain.market.bars import Bar, BarBook
from stream.feed.decoding import Refusal

log = structlog.get_logger("feed")

EVERY_S: Final = 3.0
_AFTER_MINUTE_S: Final = 0.05
_PATIENCE_S: Final = 30.0
_LAST_STORE_S: Final = 2.0
_WAITING_FRAMES: Final = 1_000
_FRAMES_A_ROUND: Final = 200
_KEPT_BYTES: Final = 4_096


class Keeper:
    """Stores every few seconds and right after a minute's end; `venue` names the exchange in dead letters."""

    def __init__(self, database_url: str, venue: str) -> None:
        self._session = Session(database_url, "feed", patience_s=_PATIENCE_S)
        self._venue = venue
        self.bars = BarBook()
        self._parts: list[Bar] = []
        self._dead: deque[DeadFrame] = deque()
        self.dead_dropped = 0

    def refuse(self, frame: bytes, refusal: Refusal) -> None:
        """Keep a frame that was refused; only counted where too many wait already."""
        if len(self._dead) >= _WAITING_FRAMES:
            self.dead_dropped += 1
            return
        reason = f"{refusal.code}: {refusal.detail}"
        self._dead.append(DeadFrame(datetime.now(UTC), self._venue, reason, bytes(frame[:_KEPT_BYTES])))

    async def run(self) -> None:
        """For ever; on the way out what is left is stored, if Postgres takes it at once."""
        try:
            while True:
                await asyncio.sleep(_until_next())
                await self._store()
        finally:
            try:
                async with asyncio.timeout(_LAST_STORE_S):
                    await self._store()
            except (TimeoutError, *AWAY) as error:
                log.warning("bars not stored at the end", why=str(error), parts=len(self.bars))
            await self._session.close()

    async def _store(self) -> None:
        try:
            await self._store_bars()
            await self._store_dead_frames()
        except AWAY as error:
            log.warning("Postgres does not take bars", why=str(error).strip()[:200], parts=len(self.bars))

    async def _store_bars(self) -> None:
        """Merge parts. Those whose commit is in doubt are repeated unchanged: the merge knows them again."""
        parts = self._parts = self._parts or self.bars.take()
        if parts:
            await self._session.transaction(lambda connection: merge_bars(connection, parts))
        self._parts = []

    async def _store_dead_frames(self) -> None:
        frames = [self._dead[i] for i in range(min(_FRAMES_A_ROUND, len(self._dead)))]
        if frames:
            await self._session.transaction(lambda connection: store_dead_frames(connection, frames))
        for _ in frames:
            self._dead.popleft()


def _until_next() -> float:
    """Seconds to the next round: the end of the minute if that comes first."""
    now_us = time.time_ns() // 1000
    return min(EVERY_S, (MINUTE_US - now_us % MINUTE_US) / SECOND_US + _AFTER_MINUTE_S)
