"""The feed as a service of the Faust app: takes frames, writes prices to the log and Redis."""

import asyncio
import time
from typing import Any, Final
from urllib.parse import urlsplit

from mode import Service

from paceline.adapters.kafka.topics import ENGINE_IN
from paceline.adapters.redis.client import connect
from paceline.messages.inbound import PriceUpdate
from paceline.settings import Settings
from stream.feed.buffer import PriceBuffer
from stream.feed.decoding import Acknowledgement, Refusal, decode
from stream.feed.exchange import ExchangeConnection
from stream.feed.feed_store import FeedStore
from stream.feed.last_prices import LastPrices
from stream.feed.price_log import PriceLog
from stream.feed.stats import FeedStats

_MS_US: Final = 1000


class FeedService(Service):  # type: ignore[misc]
    """Feeds one exchange to all shards of `topic`. A part that fails for good ends the process; a part that
    waits for an unavailable server does not."""

    def __init__(self, settings: Settings, topic: str = ENGINE_IN) -> None:
        super().__init__()
        self.name = "feed"
        self._silence_ms = settings.feed_silence_ms
        self._symbols = frozenset(settings.feed_symbols)
        self.stats = FeedStats()
        self._buffer = PriceBuffer()
        self._redis = connect(settings.cache_url)
        self._last_prices = LastPrices(self._redis)
        self._keeper = FeedStore(settings.database_url_of("writer"), urlsplit(settings.exchange_url).netloc)
        self._price_log = PriceLog(
            kafka=settings.kafka,
            topic=topic,
            shards=settings.engine_shards,
            buffer=self._buffer,
            stats=self.stats,
            written=self._written,
        )
        self._link = ExchangeConnection(
            settings.exchange_url,
            settings.feed_symbols,
            settings.feed_silence_ms / 1000,
            self._take_frame,
            self.stats,
        )

    def health(self) -> dict[str, Any]:
        return self.stats.report(
            silence_us=self._silence_ms * _MS_US,
            waiting=len(self._buffer),
            dropped=self._buffer.dropped,
            dead_letters_dropped=self._keeper.dead_dropped,
        )

    @Service.task  # type: ignore[untyped-decorator]
    async def run(self) -> None:
        """Run all parts at once, until one fails or the service is stopped."""
        await self._last_prices.recall(self._symbols)
        parts = [part.run() for part in (self._price_log, self._last_prices, self._keeper, self._link)]
        try:
            async with asyncio.TaskGroup() as group:
                for part in parts:
                    group.create_task(part)
        finally:
            await self._redis.aclose()

    def _take_frame(self, frame: bytes) -> bool:
        """Decode a frame and queue its price; true if it has one."""
        self.stats.frames += 1
        found = decode(frame, self._symbols)
        if isinstance(found, PriceUpdate):
            self.stats.last_price_us = time.time_ns() // 1000
            self._price_log.add(found)
            return True
        if isinstance(found, Refusal):
            self.stats.bad_frames[found.code] += 1
            self._keeper.refuse(frame, found)
        else:
            assert isinstance(found, Acknowledgement)
        return False

    def _written(self, batch: list[PriceUpdate]) -> None:
        """Use stamped prices of the log as last prices, if the engine accepts them."""
        for update in batch:
            if self._last_prices.take(update):
                self.stats.last_usable_us = update.time
