"""Workers of one service share its shards, on a real Kafka."""

import asyncio
from typing import Any
from uuid import uuid4

from paceline.adapters.kafka.log_reader import LogReader
from paceline.adapters.kafka.topics import ENGINE_IN
from paceline.core.connections import KafkaConnection
from paceline.domain.operations.readers import OffsetRange, Record
from stream.runtime.log_service import LogService
from tests.support.log_topics import fresh_topics

SHARDS = 2


class CountingShard:
    """A shard that only tracks its offset."""

    def __init__(self) -> None:
        self.next_offset = 0

    async def handle(self, records: list[Record]) -> None:
        self.next_offset = records[-1].offset + 1

    async def tick(self) -> None:
        await asyncio.sleep(0)

    async def close(self) -> None:
        await asyncio.sleep(0)

    def health(self) -> dict[str, Any]:
        return {"next_offset": self.next_offset}


class CountingShards:
    async def start(self) -> None:
        await asyncio.sleep(0)

    async def open(self, shard: int, bounds: OffsetRange) -> CountingShard:
        return CountingShard()

    async def stop(self) -> None:
        await asyncio.sleep(0)


async def test_a_worker_without_a_shard_is_on_standby_and_healthy(kafka_bootstrap: str) -> None:
    await fresh_topics(kafka_bootstrap, SHARDS)
    group = f"test-{uuid4().hex}"
    kafka = KafkaConnection(kafka_bootstrap)
    workers = [
        LogService("test", LogReader(kafka, ENGINE_IN, group), CountingShards(), ENGINE_IN, SHARDS)
        for _ in range(SHARDS + 1)
    ]
    for worker in workers:
        assert worker.health() == {"state": "starting", "shards": {}}
        await worker.start()
    async with asyncio.timeout(60):
        while sorted(len(worker.health()["shards"]) for worker in workers) != [0, 1, 1]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        while {worker.health()["state"] for worker in workers} != {"running"}:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    for worker in workers:
        await worker.stop()
