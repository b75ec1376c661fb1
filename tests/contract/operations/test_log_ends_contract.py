"""Contract of `LogEnds`: the end offset of `engine.out` on each shard, or `TransientError`."""

import asyncio

import pytest

from paceline.adapters.kafka.log_ends import KafkaLogEnds
from paceline.adapters.kafka.producer import make_producer
from paceline.adapters.kafka.topics import ENGINE_IN, ENGINE_OUT
from paceline.core.connections import KafkaConnection
from paceline.core.errors import TransientError
from paceline.local.processes.ports import free_port
from paceline.ports.warehouse import LogEnds
from tests.support.fakes.store import make_unavailable
from tests.support.fakes.warehouse.warehouse import FakeLogEnds
from tests.support.log_topics import fresh_topics


async def fill(brokers: str) -> None:
    """Three records of `engine.out` on shard 0, none on shard 1. Records of `engine.in` do not count."""
    await fresh_topics(brokers, 2)
    producer = make_producer(KafkaConnection(brokers), "test")
    await producer.start()
    for topic, shard in [(ENGINE_OUT, 0)] * 3 + [(ENGINE_IN, 1)]:
        await producer.send_and_wait(topic, value=b"x", partition=shard)
    await producer.stop()


@pytest.mark.parametrize("kind", ["fake", "kafka"])
def test_returns_the_offset_after_the_last_record_of_each_shard(
    kind: str, request: pytest.FixtureRequest
) -> None:
    ends: LogEnds = FakeLogEnds({0: 3, 1: 0})
    if kind == "kafka":
        brokers = request.getfixturevalue("kafka_bootstrap")
        asyncio.run(fill(brokers))
        ends = KafkaLogEnds(KafkaConnection(brokers), 2)
    assert ends() == {0: 3, 1: 0}


@pytest.mark.parametrize("kind", ["fake", "kafka"])
def test_an_unavailable_log_raises_transient_error(kind: str) -> None:
    kafka = KafkaConnection(f"127.0.0.1:{free_port()}")
    unavailable: LogEnds = make_unavailable(FakeLogEnds({})) if kind == "fake" else KafkaLogEnds(kafka, 1)
    with pytest.raises(TransientError):
        unavailable()
