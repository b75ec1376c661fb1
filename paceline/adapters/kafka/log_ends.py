"""Reads the end offsets of the logs."""

import asyncio
from collections.abc import Mapping
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from paceline.adapters.kafka.connection import for_aiokafka
from paceline.adapters.kafka.topics import ENGINE_OUT, TOPICS
from paceline.core.connections import KafkaConnection
from paceline.core.errors import TransientError

_WITHIN_S: Final = 5


class KafkaLogEnds:
    def __init__(self, kafka: KafkaConnection, shards: int) -> None:
        self._kafka = kafka
        self._partitions = [TopicPartition(ENGINE_OUT, shard) for shard in range(shards)]

    def __call__(self) -> Mapping[int, int]:
        try:
            return asyncio.run(self._ends())
        except (KafkaError, OSError) as error:
            raise TransientError(
                f"Kafka at {self._kafka.brokers} does not return the end of the log: {error}"
            ) from error

    async def _ends(self) -> dict[int, int]:
        consumer = AIOKafkaConsumer(**for_aiokafka(self._kafka), group_id=None, enable_auto_commit=False)
        try:
            await consumer.start()
            consumer.assign(self._partitions)
            ends = await consumer.end_offsets(self._partitions)
        finally:
            await consumer.stop()
        return {partition.partition: offset for partition, offset in ends.items()}


class LogEndReader:
    """Reads the ends of both logs over one connection, which is made again after an error."""

    def __init__(self, kafka: KafkaConnection, shards: int) -> None:
        self._kafka = kafka
        self._partitions = [TopicPartition(topic, shard) for topic in TOPICS for shard in range(shards)]
        self._consumer: AIOKafkaConsumer | None = None

    async def ends(self) -> dict[str, dict[int, int]]:
        try:
            async with asyncio.timeout(_WITHIN_S):
                return await self._read()
        except (TimeoutError, KafkaError, OSError) as error:
            raise TransientError(f"Kafka does not return the ends of the logs: {error}") from error

    async def _read(self) -> dict[str, dict[int, int]]:
        try:
            if self._consumer is None:
                self._consumer = AIOKafkaConsumer(
                    **for_aiokafka(self._kafka), group_id=None, enable_auto_commit=False
                )
                await self._consumer.start()
            offsets = await self._consumer.end_offsets(self._partitions)
        except BaseException:
            await self.stop()
            raise
        found: dict[str, dict[int, int]] = {topic: {} for topic in TOPICS}
        for partition, offset in offsets.items():
            found[partition.topic][partition.partition] = offset
        return found

    async def stop(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()
