"""What `InstructionLog` promises: there, certainly not there, or perhaps there, and never twice."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from paceline.adapters.kafka.instruction_log import KafkaInstructionLog
from paceline.adapters.kafka.log_scan import scan
from paceline.adapters.kafka.topics import ENGINE_IN
from paceline.core.errors import TransientError, UnknownError
from paceline.local.ports import free_port
from paceline.messages.inbound import Deposit, HaltMarket
from paceline.messages.log_form import decode_messages
from paceline.ports.instructions import InstructionLog
from tests.support.fakes.instructions import FakeInstructionLog
from tests.support.fakes.store import lost
from tests.support.frozen import freeze, thaw
from tests.support.log_topics import fresh_topics

SHARDS = 2


def message(name: str) -> Deposit:
    return Deposit(name, 1, "ada", 1)


@dataclass
class Subject:
    """`silence` makes the log take messages and say nothing, `speak` ends that."""

    log: InstructionLog
    on: Callable[[int], list[Any]]
    silence: Callable[[], None]
    speak: Callable[[], None]


async def _read(brokers: str, shard: int) -> list[Any]:
    async with scan(brokers, ENGINE_IN, shard) as log:
        bounds = await log.bounds()
        records = [record async for record in log.records(bounds.begin, bounds.end)]
    return [message for record in records for message in decode_messages(record.value)]


def fake() -> Subject:
    log = FakeInstructionLog()
    return Subject(
        log,
        lambda shard: [message for message, at in log.appended if at == shard],
        lambda: log.fails.update(dict.fromkeys(range(SHARDS), UnknownError("silent"))),
        log.fails.clear,
    )


@pytest.fixture(params=["fake", "kafka"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    if request.param == "fake":
        yield fake()
        return
    server = request.getfixturevalue("kafka_server")
    asyncio.run(fresh_topics(server.url, SHARDS))
    log = KafkaInstructionLog(server.url, timeout_ms=2_000)
    yield Subject(
        log,
        lambda shard: asyncio.run(_read(server.url, shard)),
        lambda: freeze(server.pid),
        lambda: thaw(server.pid),
    )
    log.close()


@pytest.fixture(params=["fake", "fake whose shard fails", "kafka"])
def away(request: pytest.FixtureRequest) -> Iterator[InstructionLog]:
    if request.param != "kafka":
        fake = FakeInstructionLog()
        fake.fails[0] = TransientError("this shard takes nothing")
        yield lost(fake) if request.param == "fake" else fake
        return
    log = KafkaInstructionLog(f"127.0.0.1:{free_port()}", timeout_ms=100)
    yield log
    log.close()


def test_messages_are_on_their_shard_in_order(subject: Subject) -> None:
    subject.log.ping()
    sent = [message("a"), message("b"), HaltMarket("c", 1, "BTC")]
    for one in sent:
        subject.log.append(one, 1)
    subject.log.append(message("d"), 0)
    assert subject.on(1) == sent
    assert subject.on(0) == [message("d")]


def test_what_is_unknown_is_there_at_most_once(subject: Subject) -> None:
    subject.log.append(message("before"), 0)
    subject.silence()
    try:
        with pytest.raises(UnknownError):
            subject.log.append(message("perhaps"), 0)
    finally:
        subject.speak()
    subject.log.append(message("after"), 0)
    names = [one.id for one in subject.on(0)]
    assert [name for name in names if name != "perhaps"] == ["before", "after"]
    assert names.count("perhaps") <= 1


def test_a_log_that_is_away_has_certainly_taken_nothing(away: InstructionLog) -> None:
    with pytest.raises(TransientError):
        away.append(message("never"), 0)
    if isinstance(away, FakeInstructionLog):
        assert away.appended == []


@pytest.mark.parametrize("kind", ["fake", "kafka"])
def test_a_log_that_is_away_does_not_answer_a_ping(kind: str) -> None:
    nobody = KafkaInstructionLog(f"127.0.0.1:{free_port()}", timeout_ms=100)
    away: InstructionLog = lost(FakeInstructionLog()) if kind == "fake" else nobody
    with pytest.raises(TransientError):
        away.ping()
    nobody.close()
