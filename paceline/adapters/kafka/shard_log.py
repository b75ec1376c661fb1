"""A shard's `engine.in`, for its archive."""

from collections.abc import AsyncIterator

from paceline.adapters.kafka.log_cut import cut_before
from paceline.adapters.kafka.log_scan import scan
from paceline.adapters.kafka.topics import ENGINE_IN
from paceline.core.connections import KafkaConnection
from paceline.domain.operations.readers import Record


class KafkaShardLog:
    """Each call has a connection of its own."""

    def __init__(self, kafka: KafkaConnection, shard: int) -> None:
        self._kafka = kafka
        self._shard = shard

    async def begin(self) -> int:
        async with scan(self._kafka, ENGINE_IN, self._shard) as log:
            return (await log.bounds()).begin

    async def records(self, begin: int, end: int) -> AsyncIterator[Record]:
        if begin >= end:
            return  # aiokafka fails when a consumer is stopped before its first work
        async with scan(self._kafka, ENGINE_IN, self._shard) as log:
            async for record in log.records(begin, end):
                yield record

    async def cut_before(self, offset: int) -> int:
        return await cut_before(self._kafka, self._shard, offset)
