"""Contract of `InstructionLog`: a message is sent or certainly not sent; in order, never twice."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from paceline.adapters.kafka.instruction_log import KafkaInstructionLog
from paceline.adapters.kafka.log_scan import scan
from paceline.adapters.kafka.topics import ENGINE_IN, ensure_topics
from paceline.core.connections import KafkaConnection
from paceline.core.errors import TransientError
from paceline.local.processes.ports import free_port
from paceline.local.servers.kafka import LocalKafka
from paceline.local.servers.server import RunningServer, start
from paceline.messages.inbound import Deposit, HaltMarket
from paceline.messages.log_form import decode_messages
from paceline.ports.trading import InstructionLog
from tests.support.fakes.store import make_unavailable
from tests.support.fakes.trading.instructions import FakeInstructionLog
from tests.support.frozen import freeze, unfreeze
from tests.support.log_topics import fresh_topics

SHARDS = 2


def message(name: str) -> Deposit:
    return Deposit(name, 1, "ada", 1)


@dataclass
class Subject:
    """`silence` makes the log accept messages without a reply; `speak` ends that."""

    log: InstructionLog
    on: Callable[[int], list[Any]]
    silence: Callable[[], None]
    speak: Callable[[], None]


async def _read(brokers: str, shard: int) -> list[Any]:
    async with scan(KafkaConnection(brokers), ENGINE_IN, shard) as log:
        bounds = await log.bounds()
        records = [record async for record in log.records(bounds.begin, bounds.end)]
    return [message for record in records for message in decode_messages(record.value)]


def fake() -> Subject:
    log = FakeInstructionLog()
    return Subject(
        log,
        lambda shard: [message for message, at in log.appended if at == shard],
        lambda: log.silent_shards.update(range(SHARDS)),
        log.silent_shards.clear,
    )


@pytest.fixture(params=["fake", "kafka"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    if request.param == "fake":
        yield fake()
        return
    server = request.getfixturevalue("kafka_server")
    asyncio.run(fresh_topics(server.url, SHARDS))
    log = KafkaInstructionLog(KafkaConnection(server.url), timeout_ms=2_000)
    yield Subject(
        log,
        lambda shard: asyncio.run(_read(server.url, shard)),
        lambda: freeze(server.pid),
        lambda: unfreeze(server.pid),
    )
    log.close()


@pytest.fixture(params=["fake", "fake whose shard fails", "kafka"])
def unavailable(request: pytest.FixtureRequest) -> Iterator[InstructionLog]:
    if request.param != "kafka":
        fake = FakeInstructionLog()
        fake.failing_shards.add(0)
        yield make_unavailable(fake) if request.param == "fake" else fake
        return
    log = KafkaInstructionLog(KafkaConnection(f"127.0.0.1:{free_port()}"), timeout_ms=100)
    yield log
    log.close()


def arrived(subject: Subject, shard: int, last: str) -> list[Any]:
    """The messages of a shard, read when the message with the id `last` has arrived."""
    end_s = time.monotonic() + 20
    while not (found := subject.on(shard)) or found[-1].id != last:
        assert time.monotonic() < end_s, f"{last} did not arrive: {found}"
        time.sleep(0.02)
    return found


def test_messages_arrive_on_their_shard_in_order(subject: Subject) -> None:
    subject.log.ping()
    sent = [message("a"), message("b"), HaltMarket("c", 1, "BTC")]
    for one in sent:
        subject.log.append(one, 1)
    subject.log.append(message("d"), 0)
    assert arrived(subject, 1, "c") == sent
    assert arrived(subject, 0, "d") == [message("d")]


def test_a_message_to_a_silent_log_is_stored_at_most_once(subject: Subject) -> None:
    subject.log.append(message("before"), 0)
    arrived(subject, 0, "before")
    subject.silence()
    try:
        subject.log.append(message("perhaps"), 0)
    finally:
        subject.speak()
    subject.log.append(message("after"), 0)
    names = [one.id for one in arrived(subject, 0, "after")]
    assert [name for name in names if name != "perhaps"] == ["before", "after"]
    assert names.count("perhaps") <= 1


def test_close_delivers_pending_messages(kafka_server: RunningServer) -> None:
    asyncio.run(fresh_topics(kafka_server.url, SHARDS))
    log = KafkaInstructionLog(KafkaConnection(kafka_server.url))
    sent = [message(f"m{number}") for number in range(100)]
    for one in sent:
        log.append(one, 0)
    log.close()
    assert asyncio.run(_read(kafka_server.url, 0)) == sent


def test_a_stopped_kafka_accepts_nothing_until_it_is_restarted(server_folder: Path) -> None:
    kafka = LocalKafka(server_folder / "kafka", free_port(), controller_port=free_port())
    [running] = start(kafka)
    log = KafkaInstructionLog(KafkaConnection(kafka.url), timeout_ms=2_000)
    try:
        asyncio.run(ensure_topics(KafkaConnection(kafka.url), SHARDS))
        log.append(message("before"), 0)
        running.kill()
        time.sleep(0.5)
        with pytest.raises(TransientError):
            log.append(message("never"), 0)
        [running] = start(kafka)
        end_s = time.monotonic() + 20
        while not _accepts(log, message("after")):
            assert time.monotonic() < end_s
            time.sleep(0.1)
        log.close()
        assert [one.id for one in asyncio.run(_read(kafka.url, 0))][-1:] == ["after"]
        assert "never" not in [one.id for one in asyncio.run(_read(kafka.url, 0))]
    finally:
        log.close()
        running.stop()


def _accepts(log: InstructionLog, one: Deposit) -> bool:
    try:
        log.append(one, 0)
    except TransientError:
        return False
    return True


def test_an_unavailable_log_stores_nothing(unavailable: InstructionLog) -> None:
    with pytest.raises(TransientError):
        unavailable.append(message("never"), 0)
    if isinstance(unavailable, FakeInstructionLog):
        assert unavailable.appended == []


@pytest.mark.parametrize("kind", ["fake", "kafka"])
def test_an_unavailable_log_fails_a_ping(kind: str) -> None:
    unreachable = KafkaInstructionLog(KafkaConnection(f"127.0.0.1:{free_port()}"), timeout_ms=100)
    unavailable: InstructionLog = make_unavailable(FakeInstructionLog()) if kind == "fake" else unreachable
    with pytest.raises(TransientError):
        unavailable.ping()
    unreachable.close()
