"""Contract of `EventLog`: each call appends one record and returns its offset."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from paceline.adapters.kafka.log_scan import scan
from paceline.adapters.kafka.producer import EngineInWriter
from paceline.adapters.kafka.topics import ENGINE_IN
from paceline.core.connections import KafkaConnection
from paceline.messages.inbound import Deposit
from paceline.messages.log_form import decode_messages
from paceline.ports.trading import EventLog
from tests.support.fakes.trading.event_log import FakeEventLog
from tests.support.log_topics import fresh_topics

A, B, C = (Deposit(name, 1, "ada", 1) for name in "abc")


@dataclass
class Subject:
    log: EventLog
    record: Callable[[int, int], Awaitable[list[Any]]]


@pytest.fixture(params=["fake", "kafka"])
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    if request.param == "fake":
        fake = FakeEventLog()

        async def kept(shard: int, offset: int) -> list[Any]:
            return list(fake.records[shard][offset])

        yield Subject(fake, kept)
        return
    brokers = request.getfixturevalue("kafka_bootstrap")
    await fresh_topics(brokers, 2)

    async def read(shard: int, offset: int) -> list[Any]:
        async with scan(KafkaConnection(brokers), ENGINE_IN, shard) as log:
            [record] = [record async for record in log.records(offset, offset + 1)]
        return list(decode_messages(record.value))

    async with EngineInWriter(KafkaConnection(brokers)) as log:
        yield Subject(log, read)


async def test_append_writes_one_record_and_returns_its_offset(subject: Subject) -> None:
    assert await subject.log.append(0, [A, B]) == 0
    assert await subject.log.append(0, [C]) == 1
    assert await subject.record(0, 0) == [A, B]
    assert await subject.record(0, 1) == [C]


async def test_each_shard_has_its_own_log(subject: Subject) -> None:
    assert await subject.log.append(1, [A]) == 0
    assert await subject.log.append(0, [B]) == 0
    assert await subject.record(1, 0) == [A]
