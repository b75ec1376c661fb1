"""Stores the feed's bars and refused frames in Postgres. Both wait while Postgres is unavailable."""

import asyncio
import time
from collections import deque
from datetime import UTC, datetime
from typing import Final

import structlog

from paceline.adapters.postgres.connections.session import UNAVAILABLE_ERRORS, Session
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
_MAX_WAITING_FRAMES: Final = 1_000
_FRAMES_PER_ROUND: Final = 200
_MAX_STORED_BYTES: Final = 4_096


class FeedStore:
    """Stores every 3 s and right after a minute's end; `venue` names the exchange in dead letters."""

    def __init__(self, database_url: str, venue: str) -> None:
        self._session = Session(database_url, "feed", patience_s=_PATIENCE_S)
        self._venue = venue
        self.bars = BarBook()
        self._parts: list[Bar] = []
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
                await asyncio.sleep(_next_round_s())
                await self._store()
        finally:
            try:
                async with asyncio.timeout(_LAST_STORE_S):
                    await self._store()
            except (TimeoutError, *UNAVAILABLE_ERRORS) as error:
                log.warning("bars not stored at the end", why=str(error), parts=len(self.bars))
            await self._session.close()

    async def _store(self) -> None:
        try:
            await self._store_bars()
            await self._store_dead_frames()
        except UNAVAILABLE_ERRORS as error:
            log.warning("Postgres does not take bars", why=str(error).strip()[:200], parts=len(self.bars))

    async def _store_bars(self) -> None:
        """Merge parts. If a commit is in doubt, the same parts are repeated: the merge skips those it has."""
        parts = self._parts = self._parts or self.bars.take()
        if parts:
            await self._session.transaction(lambda connection: merge_bars(connection, parts))
        self._parts = []

    async def _store_dead_frames(self) -> None:
        frames = [self._dead[i] for i in range(min(_FRAMES_PER_ROUND, len(self._dead)))]
        if frames:
            await self._session.transaction(lambda connection: store_dead_frames(connection, frames))
        for _ in frames:
            self._dead.popleft()


def _next_round_s() -> float:
    """Seconds to the next round, which is at the end of the minute at the latest."""
    now_us = time.time_ns() // 1000
    return min(EVERY_S, (MINUTE_US - now_us % MINUTE_US) / SECOND_US + _AFTER_MINUTE_S)
