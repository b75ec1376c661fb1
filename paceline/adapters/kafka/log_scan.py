"""Reads a partition without a consumer group: its bounds, its last effects, or all of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from paceline.adapters.kafka.connection import for_aiokafka
from paceline.adapters.kafka.topics import ENGINE_OUT
from paceline.core.connections import KafkaConnection
from paceline.domain.operations.readers import OffsetRange, Record
from paceline.messages.log_form import decode_effects

# Two owners of a shard may have written at the same time: the last record may not have the highest position.
_TAIL_RECORDS: Final = 64


class Scan:
    """Reads one partition from any offset."""

    def __init__(self, consumer: Any, partition: TopicPartition) -> None:
        self._consumer = consumer
        self._partition = partition

    async def bounds(self) -> OffsetRange:
        begin = await self._consumer.beginning_offsets([self._partition])
        end = await self._consumer.end_offsets([self._partition])
        return OffsetRange(begin[self._partition], end[self._partition])

    async def records(self, begin: int, end: int) -> AsyncIterator[Record]:
        """The records with offsets `[begin, end)`, which must exist."""
        offset = begin
        self._consumer.seek(self._partition, begin)
        while offset < end:
            batches = await self._consumer.getmany(self._partition, timeout_ms=1000)
            for record in batches.get(self._partition, ()):
                if record.offset >= end:
                    return
                yield record
                offset = record.offset + 1


@asynccontextmanager
async def scan(kafka: KafkaConnection, topic: str, shard: int) -> AsyncIterator[Scan]:
    consumer = AIOKafkaConsumer(
        **for_aiokafka(kafka),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )
    partition = TopicPartition(topic, shard)
    consumer.assign([partition])
    try:
        await consumer.start()
        yield Scan(consumer, partition)
    finally:
        await consumer.stop()


async def last_position_out(kafka: KafkaConnection, shard: int) -> int:
    """The highest position with an effect on `engine.out`; -1 if there is none."""
    async with scan(kafka, ENGINE_OUT, shard) as log:
        bounds = await log.bounds()
        last = -1
        async for record in log.records(max(bounds.begin, bounds.end - _TAIL_RECORDS), bounds.end):
            for effect in decode_effects(record.value):
                last = max(last, effect.position)
        return last
