"""Writes prices to `engine.in`: small batches, each to every shard, stamped when they are written.

A batch is sent 5 ms after the one before; at once if that is longer ago; earlier if 500 prices wait. While
the log takes no prices, they wait in the bounded buffer, where newer prices replace older ones.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError
from msgspec.structs import replace

from paceline.adapters.kafka.producer import make_producer
from paceline.adapters.runtime.retry import pause_of, reason_of, reconnecting
from paceline.core.connections import KafkaConnection
from paceline.messages.inbound import PriceUpdate
from paceline.messages.log_form import encode_messages
from stream.feed.buffer import PriceBuffer
from stream.feed.exchange import FIRST_PAUSE_S, LONGEST_PAUSE_S, STABLE_S
from stream.feed.stats import FeedStats

log = structlog.get_logger("feed")

MAX_BATCH: Final = 500
MAX_WAIT_S: Final = 0.005
_STOP_S: Final = 5.0


class PriceLog:
    """Writes the buffer to the log; `written` gets each stamped batch."""

    def __init__(
        self,
        *,
        kafka: KafkaConnection,
        topic: str,
        shards: int,
        buffer: PriceBuffer,
        stats: FeedStats,
        written: Callable[[list[PriceUpdate]], None],
    ) -> None:
        self._kafka = kafka
        self._topic = topic
        self._shards = range(shards)
        self._buffer = buffer
        self._stats = stats
        self._written = written
        self._wake = asyncio.Event()
        self._full = asyncio.Event()
        self._last_us = 0
        self._failure: BaseException | None = None

    def add(self, update: PriceUpdate) -> None:
        """Queue a price; never waits."""
        self._buffer.add(update)
        self._wake.set()
        if len(self._buffer) >= MAX_BATCH:
            self._full.set()

    async def run(self) -> None:
        """Run until cancelled: with one producer as long as it works, then with a new one."""
        await reconnecting(
            on=(KafkaError, OSError),
            first_s=FIRST_PAUSE_S,
            longest_s=LONGEST_PAUSE_S,
            stable_s=STABLE_S,
            report=lambda state: log.warning(
                "log lost", brokers=self._kafka.brokers, why=reason_of(state), again_in_s=pause_of(state)
            ),
        )(self._session)

    async def _session(self) -> None:
        """Send with one producer, until it fails; ends only with an error."""
        producer = make_producer(self._kafka, "paceline-feed")
        try:
            await producer.start()
            self._failure, self._stats.log_open = None, True
            await self._drain(producer)
        finally:
            self._stats.log_open = False
            with suppress(TimeoutError):
                async with asyncio.timeout(_STOP_S):
                    await producer.stop()

    async def _drain(self, producer: AIOKafkaProducer) -> None:
        loop = asyncio.get_running_loop()
        last_s = 0.0
        while True:
            await self._wake.wait()
            pause = last_s + MAX_WAIT_S - loop.time()
            if pause > 0 and len(self._buffer) < MAX_BATCH:
                self._full.clear()
                at_the_latest = loop.call_later(pause, self._full.set)
                await self._full.wait()
                at_the_latest.cancel()
            if self._failure is not None:
                raise self._failure
            last_s = loop.time()
            if batch := self._buffer.take(MAX_BATCH):
                await self._send(producer, self._stamp(batch))
            if not len(self._buffer):
                self._wake.clear()

    def _stamp(self, batch: list[PriceUpdate]) -> list[PriceUpdate]:
        """The batch with our time, which never goes back while this process runs."""
        self._last_us = max(self._last_us, time.time_ns() // 1000)
        return [replace(update, time=self._last_us) for update in batch]

    async def _send(self, producer: AIOKafkaProducer, batch: list[PriceUpdate]) -> None:
        """Encode once, queue for all shards. aiokafka holds one batch per shard under way and one that fills;
        beyond that, `send` waits."""
        value = encode_messages(batch)
        stamp_us = self._stats.sent_us = batch[0].time
        for shard in self._shards:
            try:
                sent = await producer.send(self._topic, value=value, partition=shard)
            except KafkaTimeoutError:
                self._stats.prices_lost += len(batch)
                log.warning("log does not take prices", shard=shard, lost=len(batch))
                continue
            sent.add_done_callback(partial(self._on_sent, stamp_us))
        self._stats.prices_sent += len(batch)
        self._written(batch)

    def _on_sent(self, stamp_us: int, sent: "asyncio.Future[Any]") -> None:
        """The shard has acknowledged a batch, or sending failed for good: then the producer is replaced."""
        if sent.cancelled():
            return
        error = sent.exception()
        if error is None:
            self._stats.acknowledged_us = max(self._stats.acknowledged_us, stamp_us)
        else:
            self._failure = error
            self._wake.set()
