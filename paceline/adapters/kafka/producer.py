"""Producers that neither lose nor double records: idempotent, acknowledged by all replicas."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from paceline.adapters.kafka.connection import for_aiokafka
from paceline.adapters.kafka.topics import ENGINE_IN, MAX_RECORD_BYTES
from paceline.core.connections import KafkaConnection
from paceline.messages.inbound import Inbound
from paceline.messages.log_form import encode_messages

# A partition has one request under way; records sent meanwhile go together in the next, up to this size. With
# aiokafka's 16 KiB a busy engine waited for Kafka's answer after every other record.
_BATCH_BYTES: Final = 256 * 1024


def make_producer(kafka: KafkaConnection, client_id: str) -> AIOKafkaProducer:
    """A producer that is not started yet. A record not delivered within 40 s fails for good."""
    return AIOKafkaProducer(
        **for_aiokafka(kafka),
        client_id=client_id,
        acks="all",
        max_batch_size=_BATCH_BYTES,
        enable_idempotence=True,
        max_request_size=MAX_RECORD_BYTES,
        request_timeout_ms=40_000,
    )


class PartitionWriter:
    """Sends records to one partition in order, with a bound on those under way."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, partition: int, bound: int = 256) -> None:
        self._producer = producer
        self._topic = topic
        self._partition = partition
        self._bound = bound
        self._under_way: deque[asyncio.Future[Any]] = deque()

    async def send(self, value: bytes) -> None:
        """Queue a record; wait while the bound is reached. Raises the error of an earlier failed send."""
        await self._await_acknowledged(self._bound - 1)
        self._under_way.append(await self._producer.send(self._topic, value=value, partition=self._partition))

    async def flush(self) -> None:
        """Return once all records sent so far are acknowledged; raises if one of them failed."""
        for sent in list(self._under_way):
            await asyncio.shield(sent)

    def check(self) -> None:
        """Raise if a send has failed for good."""
        while self._under_way and self._under_way[0].done():
            self._under_way.popleft().result()

    async def _await_acknowledged(self, leave: int) -> None:
        while self._under_way and (self._under_way[0].done() or len(self._under_way) > leave):
            # Shielded: a caller that is cancelled here must not cancel what others wait for.
            await asyncio.shield(self._under_way[0])
            self._under_way.popleft()


class EngineInWriter:
    """Writes messages to `engine.in` on its own producer: for commands and tests, not for the hot path."""

    def __init__(self, kafka: KafkaConnection, client_id: str = "paceline-command") -> None:
        self._producer = make_producer(kafka, client_id)

    async def __aenter__(self) -> "EngineInWriter":
        try:
            await self._producer.start()
        except BaseException:
            await self._producer.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._producer.stop()

    async def append(self, shard: int, messages: Sequence[Inbound]) -> int:
        """Write one record to a shard's log; return its offset once it is acknowledged."""
        sent = await self._producer.send_and_wait(ENGINE_IN, value=encode_messages(messages), partition=shard)
        return int(sent.offset)
