"""Contract of the watchdog's ports: `WatchStore`, `LiveSigns` and `LogEndsByTopic`."""

from collections.abc import AsyncIterator, Callable

import psycopg
import pytest
from redis.asyncio import Redis

from paceline.adapters.kafka.log_ends import LogEndReader
from paceline.adapters.kafka.producer import make_producer
from paceline.adapters.kafka.topics import ENGINE_IN, ENGINE_OUT
from paceline.adapters.postgres.operations.watch import PostgresWatchStore
from paceline.adapters.redis import operations as health
from paceline.adapters.redis.operations import RedisLiveSigns
from paceline.core.connections import KafkaConnection
from paceline.core.errors import TransientError
from paceline.domain.operations.watch import WatchProblem
from paceline.local.processes.ports import free_port
from paceline.ports.operations import LiveSigns, LogEndsByTopic, StoredState, WatchStore
from tests.support.fakes.operations.watch import FakeLiveSigns, FakeLogEndsByTopic, FakeWatchStore
from tests.support.fakes.store import make_unavailable
from tests.support.log_topics import fresh_topics
from tests.support.servers import as_role

STUCK = WatchProblem("position:engine:0", "critical", "stuck")
STALE = WatchProblem("price:BTC", "critical", "stale")
ROWS = """
insert into engine.markets values (0, 0, 1, 'BTC', 'BTC', 1, 1, 1, 1, 1, 1, 1);
insert into engine.markets values (0, 1, 1, 'ETH', 'ETH', 1, 1, 1, 1, 1, 1, 1);
insert into engine.instructions (shard, position, time_us, stamped_us, instruction, kind, symbol, message)
values (0, 2, 1, 1, 'h', 'halt_market', 'ETH', '{}');
insert into engine.snapshots (shard, generation, position, next_offset, log_time_us, state_hash,
    schema_version, code_version, chunks, complete, created_at) values
    (0, 0, 1, 1, 1, 'h', 1, 'v', 0, true, now() - interval '90 s'),
    (0, 1, 1, 1, 1, 'h', 1, 'v', 0, true, now() - interval '50 s');
"""


@pytest.fixture(params=["fake", "postgres"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[WatchStore]:
    if request.param == "fake":
        yield FakeWatchStore(stored=StoredState(frozenset({"BTC"}), {0: 50.0, 1: None}))
        return
    url = request.getfixturevalue("fresh_database")()
    with psycopg.connect(url) as connection:
        connection.execute(ROWS)
    opened = PostgresWatchStore(as_role(url, "writer"), shards=2)
    yield opened
    await opened.close()


async def test_halted_markets_and_older_snapshots_do_not_count(store: WatchStore) -> None:
    state = await store.state()
    assert state.running_markets == {"BTC"}
    age_s = state.snapshot_ages_s[0]
    assert age_s is not None
    assert 50 <= age_s < 80
    assert state.snapshot_ages_s == {0: age_s, 1: None}


async def test_an_alert_is_opened_once_and_closed_when_its_problem_has_ended(store: WatchStore) -> None:
    kinds = {"position", "price"}
    first = await store.update_alerts([STUCK, STALE], kinds)
    assert (first.opened, first.recovered) == ([STUCK.key, STALE.key], [])
    again = await store.update_alerts([STUCK, STALE], kinds)
    assert (again.opened, again.recovered) == ([], [])
    ended = await store.update_alerts([STALE], kinds)
    assert (ended.opened, ended.recovered) == ([], [STUCK.key])


async def test_an_alert_of_a_kind_that_was_not_checked_stays_open(store: WatchStore) -> None:
    await store.update_alerts([STUCK], {"position"})
    unchecked = await store.update_alerts([], {"price"})
    assert (unchecked.opened, unchecked.recovered) == ([], [])
    assert (await store.update_alerts([], {"position"})).recovered == [STUCK.key]


@pytest.fixture(params=["fake", "redis"])
async def signs(request: pytest.FixtureRequest) -> AsyncIterator[LiveSigns]:
    if request.param == "fake":
        yield FakeLiveSigns({"writer": [{0: 5, 1: 7}, {1: 9}]}, {"BTC": 123})
        return
    url = request.getfixturevalue("redis_url")
    redis = Redis.from_url(url)
    await redis.flushall()
    for instance, offsets in (("one", {"0": 5, "1": 7}), ("two", {"1": 9})):
        beat = {"shards": {shard: {"next_offset": offset} for shard, offset in offsets.items()}}
        await health.publish(redis, "writer", instance, beat)
    await redis.hset("price:BTC", "time_us", 123)
    opened = RedisLiveSigns(url)
    yield opened
    await opened.close()
    await redis.aclose()


async def test_the_highest_offset_of_a_shard_counts(signs: LiveSigns) -> None:
    assert await signs.offsets("writer") == {0: 5, 1: 9}
    assert await signs.offsets("engine") == {}


async def test_a_symbol_without_a_price_has_no_time(signs: LiveSigns) -> None:
    assert await signs.price_times_us(["BTC", "ETH"]) == {"BTC": 123, "ETH": None}


@pytest.mark.parametrize("kind", ["fake", "kafka"])
async def test_both_logs_have_ends_on_every_shard(kind: str, request: pytest.FixtureRequest) -> None:
    expected = {ENGINE_IN: {0: 0, 1: 2}, ENGINE_OUT: {0: 1, 1: 0}}
    log: LogEndsByTopic = FakeLogEndsByTopic(expected)
    if kind == "kafka":
        brokers = request.getfixturevalue("kafka_bootstrap")
        await fresh_topics(brokers, 2)
        producer = make_producer(KafkaConnection(brokers), "test")
        await producer.start()
        for topic, shard in ((ENGINE_IN, 1), (ENGINE_IN, 1), (ENGINE_OUT, 0)):
            await producer.send_and_wait(topic, value=b"x", partition=shard)
        await producer.stop()
        log = LogEndReader(KafkaConnection(brokers), 2)
    assert await log.ends() == expected
    await log.stop()


@pytest.mark.parametrize("kind", ["fake", "real"])
async def test_what_cannot_be_reached_raises_transient_error(
    kind: str, unreachable_url: str, unreachable_redis_url: str
) -> None:
    store: WatchStore = make_unavailable(FakeWatchStore())
    signs: LiveSigns = make_unavailable(FakeLiveSigns())
    log: LogEndsByTopic = make_unavailable(FakeLogEndsByTopic())
    if kind == "real":
        store = PostgresWatchStore(unreachable_url, 1, patience_s=0.1)
        signs = RedisLiveSigns(unreachable_redis_url)
        log = LogEndReader(KafkaConnection(f"127.0.0.1:{free_port()}"), 1)
    calls: list[Callable[[], object]] = [
        store.state,
        lambda: store.update_alerts([STUCK], {"position"}),
        lambda: signs.offsets("writer"),
        lambda: signs.price_times_us(["BTC"]),
        log.ends,
    ]
    for call in calls:
        with pytest.raises(TransientError):
            await call()  # type: ignore[misc]
