"""The engine service on real Kafka and Postgres: recovery, outputs without duplicates, and refusals."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import psycopg
import pytest

from paceline.adapters.kafka.log_scan import last_position_out, scan
from paceline.adapters.kafka.producer import make_producer
from paceline.adapters.kafka.topics import ENGINE_IN, ENGINE_OUT, ensure_topics
from paceline.adapters.postgres.connections.worker import WorkerConnection
from paceline.build import compiled
from paceline.core.connections import KafkaConnection
from paceline.core.errors import InvariantViolation, PermanentError
from paceline.domain.operations.readers import OffsetRange
from paceline.engine import Engine
from paceline.messages.inbound import Inbound
from paceline.messages.json_form import DecodeError, decode_line
from paceline.messages.log_form import Undecodable, decode_effects, encode_messages
from paceline.messages.outbound import Effect
from paceline.usecases.replay.export_log import lines_of_record
from stream.engine.recovery import recover
from stream.engine.service import EngineOpener, EngineShard
from tests.support.log_topics import fresh_topics
from tests.support.scenario_log import Day, day, scenario_messages
from tests.support.servers import as_role

SHARDS = 2
SNAPSHOT_INTERVAL_S = 3600


@pytest.fixture(scope="module")
def busy() -> Day:
    return day(scenario_messages(seed=0, length=900))


@pytest.fixture
def database(fresh_database: Callable[[], str]) -> str:
    return fresh_database()


@pytest.fixture
async def brokers(kafka_bootstrap: str) -> str:
    await fresh_topics(kafka_bootstrap, SHARDS)
    return kafka_bootstrap


class EngineHarness:
    """Runs shard 0 of the engine on the log. A shard that is not closed ends as by SIGKILL."""

    def __init__(self, database: str, brokers: str) -> None:
        self.database = database
        self.brokers = brokers
        self._opened: list[EngineOpener] = []

    async def write(self, messages: Sequence[Inbound | Undecodable], per_record: int = 30) -> None:
        """Append messages to the log of shard 0. An undecodable message is a record of its own."""
        producer = make_producer(KafkaConnection(self.brokers), "test")
        await producer.start()
        for value in _records(messages, per_record):
            await producer.send_and_wait(ENGINE_IN, value=value, partition=0)
        await producer.stop()

    async def open(self) -> EngineShard:
        engines = EngineOpener(
            as_role(self.database, "writer"), KafkaConnection(self.brokers), SHARDS, SNAPSHOT_INTERVAL_S
        )
        self._opened.append(engines)
        await engines.start()
        async with scan(KafkaConnection(self.brokers), ENGINE_IN, 0) as log:
            return await engines.open(0, await log.bounds())

    async def run(self, shard: EngineShard, end: int | None = None) -> None:
        """Let the shard process the log up to an offset (default: the end)."""
        async with scan(KafkaConnection(self.brokers), ENGINE_IN, 0) as log:
            until = (await log.bounds()).end if end is None else end
            await shard.handle([record async for record in log.records(shard.next_offset, until)])

    async def effects(self) -> list[Effect]:
        async with scan(KafkaConnection(self.brokers), ENGINE_OUT, 0) as log:
            bounds = await log.bounds()
            return [
                effect
                async for record in log.records(bounds.begin, bounds.end)
                for effect in decode_effects(record.value)
            ]

    async def stop(self) -> None:
        for engines in self._opened:
            await engines.stop()


def _records(messages: Sequence[Inbound | Undecodable], per_record: int) -> list[bytes]:
    values: list[bytes] = []
    batch: list[Inbound] = []
    for message in messages:
        if isinstance(message, Undecodable):
            values.extend([encode_messages(batch)] if batch else [])
            values.append(b"\xc1 " + message.raw)
            batch = []
            continue
        batch.append(message)
        if len(batch) == per_record:
            values.append(encode_messages(batch))
            batch = []
    return [*values, *([encode_messages(batch)] if batch else [])]


@pytest.fixture
async def harness(database: str, brokers: str) -> AsyncIterator[EngineHarness]:
    made = EngineHarness(database, brokers)
    yield made
    await made.stop()


def query(database: str, text: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database, autocommit=True) as connection:
        cursor = connection.execute(text)  # type: ignore[call-overload]
        return cursor.fetchall() if cursor.description else []


async def test_the_effects_on_the_log_are_those_of_the_engine(harness: EngineHarness, busy: Day) -> None:
    await harness.write(busy.messages)
    shard = await harness.open()
    await harness.run(shard)
    await shard.close()
    assert await harness.effects() == busy.effects
    assert query(harness.database, "select position, state_hash from engine.snapshots") == [
        (len(busy.messages), busy.engine.state_hash())
    ]


async def test_effects_are_not_repeated_after_a_crash(harness: EngineHarness, busy: Day) -> None:
    await harness.write(busy.messages)
    first = await harness.open()
    await harness.run(first, end=10)
    await first.close()
    second = await harness.open()
    await harness.run(second, end=20)
    await second._outlet.flush()
    assert second.health()["form"] == compiled.form()
    assert (
        second.health()["position"] > query(harness.database, "select position from engine.snapshots")[0][0]
    )
    third = await harness.open()
    assert third.health()["replaying"]
    await harness.run(third)
    await third.close()
    assert [effect.position for effect in await harness.effects()] == [e.position for e in busy.effects]
    assert await harness.effects() == busy.effects
    assert third._engine.state_hash() == busy.engine.state_hash()


async def test_readers_can_skip_duplicates_of_two_concurrent_engines(
    harness: EngineHarness, busy: Day
) -> None:
    await harness.write(busy.messages)
    one, other = await harness.open(), await harness.open()
    await harness.run(one, end=12)
    await harness.run(other)
    await harness.run(one)
    await one.close()
    await other.close()
    seen, wanted = [], 0
    for effect in await harness.effects():
        if effect.position >= wanted:
            seen.append(effect)
            wanted = effect.position + 1
    assert seen == busy.effects
    assert await last_position_out(KafkaConnection(harness.brokers), 0) == busy.effects[-1].position


@pytest.mark.parametrize(
    "damage",
    [
        "update engine.snapshots set state_hash = repeat('0', 64) where position = {newest}",
        "delete from engine.snapshot_chunks where ordinal = 2 and (shard, generation) in "
        "(select shard, generation from engine.snapshots where position = {newest})",
        'update engine.snapshot_chunks set data = \'{{"part": "nonsense"}}\' where ordinal = 1 and '
        "(shard, generation) in (select shard, generation from engine.snapshots where position = {newest})",
    ],
    ids=["hash", "missing chunk", "nonsense"],
)
async def test_a_damaged_snapshot_is_skipped(harness: EngineHarness, busy: Day, damage: str) -> None:
    await harness.write(busy.messages)
    shard = await harness.open()
    await harness.run(shard, end=8)
    await shard.close()
    older = shard.health()["position"]
    await harness.run(shard, end=16)
    await shard.close()
    newest = shard.health()["position"]
    query(harness.database, damage.format(newest=newest))
    again = await harness.open()
    assert again.health()["position"] == older
    assert query(harness.database, "select severity, source from ops.alerts") == [("critical", "engine")]
    await harness.run(again)
    await again.close()
    assert again._engine.state_hash() == busy.engine.state_hash()
    assert await harness.effects() == busy.effects


async def test_a_snapshot_never_replaces_a_newer_one(harness: EngineHarness, busy: Day) -> None:
    await harness.write(busy.messages)
    slow, fast = await harness.open(), await harness.open()
    await harness.run(slow, end=5)
    for end in (6, 12):
        await harness.run(fast, end=end)
        await fast.close()
    before = query(harness.database, "select * from engine.snapshots order by position")
    await slow.close()
    assert query(harness.database, "select * from engine.snapshots order by position") == before
    assert len(before) == 2


async def test_undecodable_messages_are_stored_as_dead_letters(harness: EngineHarness, busy: Day) -> None:
    broken = {at: m for at, m in enumerate(busy.messages) if isinstance(m, Undecodable)}
    assert broken
    await harness.write(busy.messages)
    shard = await harness.open()
    await harness.run(shard)
    await shard.close()
    letters = query(
        harness.database, "select source, position, raw from engine.dead_letters order by position"
    )
    assert letters == [("engine.in", at, b"\xc1 " + message.raw) for at, message in broken.items()]
    assert shard._engine.state_hash() == busy.engine.state_hash()


async def test_the_exported_log_replays_to_the_live_hash(harness: EngineHarness, busy: Day) -> None:
    await harness.write(busy.messages)
    replayed = Engine(shard=0)
    async with scan(KafkaConnection(harness.brokers), ENGINE_IN, 0) as log:
        async for record in log.records(0, (await log.bounds()).end):
            for line in lines_of_record(record.value):
                try:
                    replayed.apply(decode_line(line))
                except DecodeError:
                    replayed.apply_undecodable()
    assert replayed.state_hash() == busy.engine.state_hash()


async def test_a_changed_number_of_shards_is_refused(harness: EngineHarness, brokers: str) -> None:
    await harness.open()
    other = EngineOpener(
        as_role(harness.database, "writer"), KafkaConnection(brokers), 3, SNAPSHOT_INTERVAL_S
    )
    with pytest.raises(PermanentError, match="installation has 2 shards, but PACELINE_ENGINE_SHARDS is 3"):
        await other.start()
    await other.stop()
    with pytest.raises(PermanentError, match="has 2 partitions, but PACELINE_ENGINE_SHARDS is 3"):
        await ensure_topics(KafkaConnection(brokers), 3)


@pytest.mark.parametrize(
    ("bounds", "why"),
    [
        (OffsetRange(1, 9), "begins at offset 1, not at 0"),
        (OffsetRange(12, 30), "were cut from the log"),
        (OffsetRange(0, 3), "the log has lost records"),
    ],
    ids=["no snapshot", "cut", "shorter"],
)
async def test_a_log_that_does_not_reach_the_snapshot_is_refused(
    harness: EngineHarness, busy: Day, bounds: OffsetRange, why: str
) -> None:
    await harness.write(busy.messages)
    if bounds.begin != 1:
        shard = await harness.open()
        await harness.run(shard, end=8)
        await shard.close()
    session = WorkerConnection(as_role(harness.database, "writer"), "test")
    with pytest.raises(PermanentError, match=why):
        await recover(session, 0, bounds)
    await session.close()


async def test_an_inconsistent_ledger_stops_the_shard(harness: EngineHarness, busy: Day) -> None:
    await harness.write(busy.messages)
    shard = await harness.open()
    await harness.run(shard)
    shard._engine._state.house.fees += 1
    with pytest.raises(InvariantViolation):
        await shard.close()
    assert query(harness.database, "select * from engine.snapshots") == []
    open_alerts = "select key, severity, recovered_at from ops.alerts"
    assert query(harness.database, open_alerts) == [("ledger:0", "critical", None)]
    # Only the state in memory was wrong, not the log: the next start works, and its snapshot ends the alert.
    again = await harness.open()
    await harness.run(again)
    await again.close()
    ended = "select key, recovered_at is not null from ops.alerts"
    assert query(harness.database, ended) == [("ledger:0", True)]
