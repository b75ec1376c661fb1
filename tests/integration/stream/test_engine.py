"""The engine's shard on a real Kafka and Postgres: it recovers, says things once, refuses what it must."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import psycopg
import pytest

from paceline.adapters.kafka.log_reader import LogBounds
from paceline.adapters.kafka.log_scan import last_position_out, scan
from paceline.adapters.kafka.producer import make_producer
from paceline.adapters.kafka.topics import ENGINE_IN, ENGINE_OUT, ensure_topics
from paceline.adapters.postgres.connections.session import Session
from paceline.build import compiled
from paceline.core.errors import InvariantViolation, PermanentError
from paceline.engine import Engine
from paceline.messages.inbound import Inbound
from paceline.messages.json_form import DecodeError, decode_line
from paceline.messages.log_form import Undecodable, decode_effects, encode_messages
from paceline.messages.outbound import Effect
from paceline.usecases.replay.export_log import lines_of_record
from stream.engine.recovery import recover
from stream.engine.service import Engines, EngineShard
from tests.support.log_topics import fresh_topics
from tests.support.scenario_log import Day, day, scenario_messages

SHARDS = 2
RARELY_S = 3600


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


class Bench:
    """Feeds one shard from the log, and may drop it as a SIGKILL would."""

    def __init__(self, database: str, brokers: str) -> None:
        self.database = database
        self.brokers = brokers
        self._opened: list[Engines] = []

    async def write(self, messages: Sequence[Inbound | Undecodable], a_record: int = 30) -> None:
        """Put messages on the log of shard 0; what cannot be decoded goes there as it is, alone."""
        producer = make_producer(self.brokers, "test")
        await producer.start()
        for value in _records(messages, a_record):
            await producer.send_and_wait(ENGINE_IN, value=value, partition=0)
        await producer.stop()

    async def open(self) -> EngineShard:
        engines = Engines(self.database, self.brokers, SHARDS, RARELY_S)
        self._opened.append(engines)
        await engines.start()
        async with scan(self.brokers, ENGINE_IN, 0) as log:
            return await engines.open(0, await log.bounds())

    async def run(self, shard: EngineShard, end: int | None = None) -> None:
        """Hand it the log up to an offset."""
        async with scan(self.brokers, ENGINE_IN, 0) as log:
            until = (await log.bounds()).end if end is None else end
            await shard.handle([record async for record in log.records(shard.next_offset, until)])

    async def effects(self) -> list[Effect]:
        async with scan(self.brokers, ENGINE_OUT, 0) as log:
            bounds = await log.bounds()
            return [
                effect
                async for record in log.records(bounds.begin, bounds.end)
                for effect in decode_effects(record.value)
            ]

    async def stop(self) -> None:
        for engines in self._opened:
            await engines.stop()


def _records(messages: Sequence[Inbound | Undecodable], a_record: int) -> list[bytes]:
    values: list[bytes] = []
    batch: list[Inbound] = []
    for message in messages:
        if isinstance(message, Undecodable):
            values.extend([encode_messages(batch)] if batch else [])
            values.append(b"\xc1 " + message.raw)
            batch = []
            continue
        batch.append(message)
        if len(batch) == a_record:
            values.append(encode_messages(batch))
            batch = []
    return [*values, *([encode_messages(batch)] if batch else [])]


@pytest.fixture
async def bench(database: str, brokers: str) -> AsyncIterator[Bench]:
    made = Bench(database, brokers)
    yield made
    await made.stop()


def query(database: str, text: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database, autocommit=True) as connection:
        cursor = connection.execute(text)  # type: ignore[call-overload]
        return cursor.fetchall() if cursor.description else []


async def test_what_comes_out_is_what_the_engine_says(bench: Bench, busy: Day) -> None:
    await bench.write(busy.messages)
    shard = await bench.open()
    await bench.run(shard)
    await shard.close()
    assert await bench.effects() == busy.effects
    assert query(bench.database, "select position, state_hash from engine.snapshots") == [
        (len(busy.messages), busy.engine.state_hash())
    ]


async def test_after_a_crash_nothing_is_said_twice(bench: Bench, busy: Day) -> None:
    await bench.write(busy.messages)
    first = await bench.open()
    await bench.run(first, end=10)
    await first.close()
    second = await bench.open()
    await bench.run(second, end=20)
    await second._outlet.flush()
    assert second.health()["form"] == compiled.form()
    assert second.health()["position"] > query(bench.database, "select position from engine.snapshots")[0][0]
    third = await bench.open()
    assert third.health()["replaying"]
    await bench.run(third)
    await third.close()
    assert [effect.position for effect in await bench.effects()] == [e.position for e in busy.effects]
    assert await bench.effects() == busy.effects
    assert third._engine.state_hash() == busy.engine.state_hash()


async def test_two_engines_at_once_do_no_harm_to_readers(bench: Bench, busy: Day) -> None:
    await bench.write(busy.messages)
    one, other = await bench.open(), await bench.open()
    await bench.run(one, end=12)
    await bench.run(other)
    await bench.run(one)
    await one.close()
    await other.close()
    seen, wanted = [], 0
    for effect in await bench.effects():
        if effect.position >= wanted:
            seen.append(effect)
            wanted = effect.position + 1
    assert seen == busy.effects
    assert await last_position_out(bench.brokers, 0) == busy.effects[-1].position


@pytest.mark.parametrize(
    "harm",
    [
        "update engine.snapshots set state_hash = repeat('0', 64) where position = {newest}",
        "delete from engine.snapshot_chunks where ordinal = 2 and (shard, generation) in "
        "(select shard, generation from engine.snapshots where position = {newest})",
        'update engine.snapshot_chunks set data = \'{{"part": "nonsense"}}\' where ordinal = 1 and '
        "(shard, generation) in (select shard, generation from engine.snapshots where position = {newest})",
    ],
    ids=["hash", "missing chunk", "nonsense"],
)
async def test_a_snapshot_that_does_not_hold_is_passed_over(bench: Bench, busy: Day, harm: str) -> None:
    await bench.write(busy.messages)
    shard = await bench.open()
    await bench.run(shard, end=8)
    await shard.close()
    older = shard.health()["position"]
    await bench.run(shard, end=16)
    await shard.close()
    newest = shard.health()["position"]
    query(bench.database, harm.format(newest=newest))
    again = await bench.open()
    assert again.health()["position"] == older
    assert query(bench.database, "select severity, source from ops.alerts") == [("critical", "engine")]
    await bench.run(again)
    await again.close()
    assert again._engine.state_hash() == busy.engine.state_hash()
    assert await bench.effects() == busy.effects


async def test_a_snapshot_never_replaces_a_newer_one(bench: Bench, busy: Day) -> None:
    await bench.write(busy.messages)
    slow, fast = await bench.open(), await bench.open()
    await bench.run(slow, end=5)
    for end in (6, 12):
        await bench.run(fast, end=end)
        await fast.close()
    before = query(bench.database, "select * from engine.snapshots order by position")
    await slow.close()
    assert query(bench.database, "select * from engine.snapshots order by position") == before
    assert len(before) == 2


async def test_what_cannot_be_decoded_is_counted_and_kept(bench: Bench, busy: Day) -> None:
    broken = {at: m for at, m in enumerate(busy.messages) if isinstance(m, Undecodable)}
    assert broken
    await bench.write(busy.messages)
    shard = await bench.open()
    await bench.run(shard)
    await shard.close()
    letters = query(bench.database, "select source, position, raw from engine.dead_letters order by position")
    assert letters == [("engine.in", at, b"\xc1 " + message.raw) for at, message in broken.items()]
    assert shard._engine.state_hash() == busy.engine.state_hash()


async def test_the_exported_log_replays_to_the_live_hash(bench: Bench, busy: Day) -> None:
    await bench.write(busy.messages)
    replayed = Engine(shard=0)
    async with scan(bench.brokers, ENGINE_IN, 0) as log:
        async for record in log.records(0, (await log.bounds()).end):
            for line in lines_of_record(record.value):
                try:
                    replayed.apply(decode_line(line))
                except DecodeError:
                    replayed.apply_undecodable()
    assert replayed.state_hash() == busy.engine.state_hash()


async def test_another_number_of_shards_is_refused(bench: Bench, brokers: str) -> None:
    await bench.open()
    other = Engines(bench.database, brokers, 3, RARELY_S)
    with pytest.raises(PermanentError, match="installation has 2 shards, but PACELINE_ENGINE_SHARDS is 3"):
        await other.start()
    await other.stop()
    with pytest.raises(PermanentError, match="has 2 partitions, but PACELINE_ENGINE_SHARDS is 3"):
        await ensure_topics(brokers, 3)


@pytest.mark.parametrize(
    ("bounds", "why"),
    [
        (LogBounds(1, 9), "begins at offset 1, not at 0"),
        (LogBounds(12, 30), "were cut from the log"),
        (LogBounds(0, 3), "the log has lost records"),
    ],
    ids=["no snapshot", "cut", "shorter"],
)
async def test_a_log_that_does_not_reach_the_snapshot_is_refused(
    bench: Bench, busy: Day, bounds: LogBounds, why: str
) -> None:
    await bench.write(busy.messages)
    if bounds.begin != 1:
        shard = await bench.open()
        await bench.run(shard, end=8)
        await shard.close()
    session = Session(bench.database, "test")
    with pytest.raises(PermanentError, match=why):
        await recover(session, 0, bounds)
    await session.close()


async def test_a_ledger_that_does_not_add_up_stops_the_shard(bench: Bench, busy: Day) -> None:
    await bench.write(busy.messages)
    shard = await bench.open()
    await bench.run(shard)
    shard._engine._state.house.fees += 1
    with pytest.raises(InvariantViolation):
        await shard.close()
    assert query(bench.database, "select * from engine.snapshots") == []
    told = "select key, severity, recovered_at from ops.alerts"
    assert query(bench.database, told) == [("ledger:0", "critical", None)]
    # The state in memory was wrong, not the log: the next start is well, and its snapshot says so.
    again = await bench.open()
    await bench.run(again)
    await again.close()
    ended = "select key, recovered_at is not null from ops.alerts"
    assert query(bench.database, ended) == [("ledger:0", True)]
