"""Reading the log from wait_for_assignment offsets, on a real Kafka."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

import pytest

from paceline.adapters.kafka.log_reader import LogReader
from paceline.adapters.kafka.producer import EngineInWriter
from paceline.adapters.kafka.topics import ENGINE_IN
from paceline.core.connections import KafkaConnection
from paceline.core.errors import InvariantViolation
from paceline.domain.operations.readers import OffsetRange
from paceline.messages.inbound import Deposit
from paceline.messages.log_form import decode_messages
from tests.support.log_topics import fresh_topics

SHARDS = 2
RECORDS = 20

Make = Callable[..., Awaitable[LogReader]]


@pytest.fixture
async def make(kafka_bootstrap: str) -> AsyncIterator[Make]:
    """Starts readers of a new group, on a log with `RECORDS` records in each shard."""
    await fresh_topics(kafka_bootstrap, SHARDS)
    async with EngineInWriter(KafkaConnection(kafka_bootstrap)) as log:
        for number in range(RECORDS):
            for shard in range(SHARDS):
                await log.append(shard, [Deposit(f"{shard}-{number}", 1, "ada", 1)])
    group, made = f"test-{uuid4().hex}", []

    async def started(only_shard: int | None = None) -> LogReader:
        reader = LogReader(KafkaConnection(kafka_bootstrap), ENGINE_IN, group, only_shard=only_shard)
        made.append(reader)
        await reader.start()
        return reader

    yield started
    for reader in made:
        await reader.stop()


async def wait_for_assignment(reader: LogReader, shards: int = SHARDS) -> None:
    """Wait until the group has assigned this number of shards to the reader."""
    async with asyncio.timeout(30):
        while not (reader.assignment_changed() and len(reader.assigned()) == shards):
            assert await reader.read(100, 200) == {}


async def read(reader: LogReader, count: int) -> dict[int, list[str]]:
    """Read at least `count` messages; return their ids by shard."""
    found: dict[int, list[str]] = {}
    async with asyncio.timeout(30):
        while sum(map(len, found.values())) < count:
            for shard, records in (await reader.read(100, 7)).items():
                for record in records:
                    found.setdefault(shard, []).extend(one.id for one in decode_messages(record.value))  # type: ignore[union-attr]
    return found


async def test_only_shards_with_a_seek_are_read_from_their_offset(make: Make) -> None:
    reader = await make()
    await wait_for_assignment(reader)
    assert reader.partitions() == SHARDS
    assert await reader.bounds(1) == OffsetRange(0, RECORDS)
    reader.seek(1, 5)
    assert await read(reader, RECORDS - 5) == {1: [f"1-{number}" for number in range(5, RECORDS)]}
    assert reader.lag(1) == 0
    assert reader.lag(0) is None
    reader.seek(0, 0)
    assert await read(reader, RECORDS) == {0: [f"0-{number}" for number in range(RECORDS)]}


async def test_a_cancelled_read_loses_nothing(make: Make, kafka_bootstrap: str) -> None:
    reader = await make()
    await wait_for_assignment(reader)
    reader.seek(0, RECORDS)
    assert await reader.read(10, 200) == {}
    reading = asyncio.create_task(reader.read(5_000, 200))
    await asyncio.sleep(0.2)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    async with EngineInWriter(KafkaConnection(kafka_bootstrap)) as log:
        await log.append(0, [Deposit("one more", 1, "ada", 1)])
    assert await read(reader, 1) == {0: ["one more"]}


async def test_an_offset_outside_the_log_raises(make: Make) -> None:
    reader = await make()
    await wait_for_assignment(reader)
    reader.seek(0, RECORDS + 5)
    with pytest.raises(InvariantViolation, match=r"engine\.in"):
        await read(reader, 1)


async def test_readers_of_a_group_share_the_shards(make: Make) -> None:
    first = await make()
    await wait_for_assignment(first)
    second = await make()
    sharing = asyncio.create_task(wait_for_assignment(second, 1))
    await wait_for_assignment(first, 1)
    await sharing
    for reader in (first, second):
        [shard] = reader.assigned()
        reader.seek(shard, 0)
        assert await read(reader, RECORDS) == {shard: [f"{shard}-{number}" for number in range(RECORDS)]}
    assert {*first.assigned(), *second.assigned()} == {0, 1}
    await second.stop()
    await wait_for_assignment(first)


async def test_a_reader_of_one_shard_reads_no_other_and_a_second_one_stands_by(make: Make) -> None:
    first = await make(1)
    await wait_for_assignment(first, shards=1)
    assert first.assigned() == [1]
    first.seek(1, 0)
    assert set(await read(first, RECORDS)) == {1}
    second = await make(1)
    async with asyncio.timeout(30):
        while not (first.assignment_changed() and second.assignment_changed()):
            await first.read(100, 1)
            await second.read(100, 1)
    assert sorted([first.assigned(), second.assigned()]) == [[], [1]]
