"""Stores the feed's refused frames in Postgres. They wait while Postgres is unavailable."""

import asyncio
from collections import deque
from datetime import UTC, datetime
from typing import Final

import structlog

from paceline.adapters.postgres.connections.unavailable import UNAVAILABLE_ERRORS
from paceline.adapters.postgres.connections.worker import WorkerConnection
from paceline.adapters.postgres.market.dead_frames import DeadFrame, store_dead_frames
from stream.feed.decoding import Refusal

log = structlog.get_logger("feed")

EVERY_S: Final = 3.0
_PATIENCE_S: Final = 30.0
_LAST_STORE_S: Final = 2.0
_MAX_WAITING_FRAMES: Final = 1_000
_FRAMES_PER_ROUND: Final = 200
_MAX_STORED_BYTES: Final = 4_096


class FeedStore:
    """Stores every 3 s; `venue` names the exchange in dead letters."""

    def __init__(self, database_url: str, venue: str) -> None:
        self._session = WorkerConnection(database_url, "feed", patience_s=_PATIENCE_S)
        self._venue = venue
        self._dead: deque[DeadFrame] = deque()
        self.dead_dropped = 0

    def refuse(self, frame: bytes, refusal: Refusal) -> None:
        """Keep a refused frame; if too many wait already, only count it."""
        if len(self._dead) >= _MAX_WAITING_FRAMES:
            self.dead_dropped += 1
            return
        reason = f"{refusal.code}: {refusal.detail}"
        self._dead.append(DeadFrame(datetime.now(UTC), self._venue, reason, bytes(frame[:_MAX_STORED_BYTES])))

    async def run(self) -> None:
        """Store until cancelled; then store the rest, if Postgres takes it within `_LAST_STORE_S`."""
        try:
            while True:
                await asyncio.sleep(EVERY_S)
                await self._store()
        finally:
            try:
                async with asyncio.timeout(_LAST_STORE_S):
                    await self._store()
            except (TimeoutError, *UNAVAILABLE_ERRORS) as error:
                log.warning("dead letters not stored at the end", why=str(error), frames=len(self._dead))
            await self._session.close()

    async def _store(self) -> None:
        try:
            await self._store_dead_frames()
        except UNAVAILABLE_ERRORS as error:
            log.warning("dead letters not stored", why=str(error).strip()[:200], frames=len(self._dead))

    async def _store_dead_frames(self) -> None:
        frames = [self._dead[i] for i in range(min(_FRAMES_PER_ROUND, len(self._dead)))]
        if frames:
            await self._session.transaction(lambda connection: store_dead_frames(connection, frames))
        for _ in frames:
            self._dead.popleft()
