"""Where `engine.out` ends."""

import asyncio
from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from paceline.adapters.kafka.topics import ENGINE_OUT
from paceline.core.errors import TransientError


class KafkaLogEnds:
    def __init__(self, brokers: str, shards: int) -> None:
        self._brokers = brokers
        self._partitions = [TopicPartition(ENGINE_OUT, shard) for shard in range(shards)]

    def __call__(self) -> Mapping[int, int]:
        try:
            return asyncio.run(self._ends())
        except (KafkaError, OSError) as error:
            raise TransientError(
                f"Kafka at {self._brokers} does not tell where the log ends: {error}"
            ) from error

    async def _ends(self) -> dict[int, int]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self._brokers, group_id=None, enable_auto_commit=False)
        try:
            await consumer.start()
            consumer.assign(self._partitions)
            ends = await consumer.end_offsets(self._partitions)
        finally:
            await consumer.stop()
        return {partition.partition: offset for partition, offset in ends.items()}
