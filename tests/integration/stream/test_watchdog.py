"""The watchdog on real servers: alerts open once, are closed, and stay open while a store is unavailable."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest
from redis.asyncio import Redis

from paceline.adapters.kafka.producer import EngineInWriter
from paceline.adapters.postgres.connections.connect import Connection
from paceline.adapters.postgres.connections.worker import WorkerConnection
from paceline.adapters.postgres.operations import alerts
from paceline.adapters.postgres.operations.watch import PostgresWatchStore
from paceline.adapters.redis import operations as health
from paceline.adapters.redis.operations import RedisLiveSigns
from paceline.core.connections import KafkaConnection
from paceline.messages.inbound import HaltMarket
from paceline.settings import PREFIX, load
from stream.runtime.app import SERVICES
from stream.watchdog.service import WatchdogService
from tests.support.log_topics import fresh_topics
from tests.support.servers import as_role

MARKET = """
insert into engine.markets values (0, 0, 1, 'BTC_USDC_PERP', 'BTC', 1, 1, 1, 1, 1, 1, 1);
insert into engine.snapshots (shard, generation, position, next_offset, log_time_us, state_hash,
    schema_version, code_version, chunks, complete) values (0, 0, 1, 1, 1, 'h', 1, 'v', 0, true);
"""


class WatchdogSetup:
    """A watchdog, with heartbeats that stand for the other services."""

    def __init__(self, database: str, redis: Redis, dog: WatchdogService) -> None:
        self.database = database
        self.redis = redis
        self.dog = dog

    async def publish_heartbeats(self, engine: int, price_age_s: float = 0, bars: int = 1) -> None:
        for reader, offset in (("engine", engine), ("bars", bars), ("writer", 0), ("router", 0)):
            await health.publish(self.redis, reader, "one", {"shards": {"0": {"next_offset": offset}}})
        seen_us = int((time.time() - price_age_s) * 1e6)
        await self.redis.hset("price:BTC_USDC_PERP", "time_us", seen_us)

    async def run_round(self) -> None:
        await self.dog._round()

    def alerts(self) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database) as connection:
            return connection.execute(
                "select key, times, recovered_at is not null from ops.alerts order by id"
            ).fetchall()


@pytest.fixture
async def watched_system(
    fresh_database: Callable[[], str], redis_url: str, kafka_bootstrap: str, tmp_path: Path
) -> AsyncIterator[WatchdogSetup]:
    database = fresh_database()
    with psycopg.connect(database) as connection:
        connection.execute(MARKET)
    await fresh_topics(kafka_bootstrap, 1)
    values = {
        "WRITER_DATABASE_URL": as_role(database, "writer"),
        "REDIS_URL": redis_url,
        "KAFKA_BOOTSTRAP": kafka_bootstrap,
        "ENGINE_SHARDS": "1",
        "WATCHDOG_STUCK_S": "2",
        "FEED_SYMBOLS": "BTC_USDC_PERP,ETH_USDC_PERP",
    }
    config = load({PREFIX + name: value for name, value in values.items()}, tmp_path)
    dog = cast(WatchdogService, SERVICES["watchdog"](config))
    redis = Redis.from_url(redis_url)
    await redis.flushall()
    yield WatchdogSetup(database, redis, dog)
    await dog.on_stop()
    await redis.aclose()


async def test_a_stuck_engine_opens_one_alert_that_is_closed_on_recovery(
    watched_system: WatchdogSetup, kafka_bootstrap: str
) -> None:
    async with EngineInWriter(KafkaConnection(kafka_bootstrap)) as log:
        await log.append(0, [HaltMarket("h", 1, "S")])
    await watched_system.publish_heartbeats(engine=0)
    await watched_system.run_round()
    assert watched_system.alerts() == []
    await asyncio.sleep(2.1)
    for _ in range(3):
        await watched_system.run_round()
    assert watched_system.alerts() == [("position:engine:0", 1, False)]
    assert [alert["key"] for alert in watched_system.dog.health()["alerts"]] == ["position:engine:0"]
    await watched_system.publish_heartbeats(engine=1)
    await watched_system.run_round()
    assert watched_system.alerts() == [("position:engine:0", 1, True)]
    assert watched_system.dog.health()["alerts"] == []


async def test_stuck_bars_open_an_alert(watched_system: WatchdogSetup, kafka_bootstrap: str) -> None:
    async with EngineInWriter(KafkaConnection(kafka_bootstrap)) as log:
        await log.append(0, [HaltMarket("h", 1, "S")])
    for _ in range(2):
        await watched_system.publish_heartbeats(engine=1, bars=0)
        await watched_system.run_round()
        await asyncio.sleep(1.1)
    await watched_system.run_round()
    assert watched_system.alerts() == [("position:bars:0", 1, False)]


async def test_an_old_price_of_a_running_market_opens_an_alert(watched_system: WatchdogSetup) -> None:
    await watched_system.publish_heartbeats(engine=0, price_age_s=31)
    await watched_system.run_round()
    assert watched_system.alerts() == [("price:BTC_USDC_PERP", 1, False)]
    # A cause that comes and goes does not add rows.
    for age_s in (0, 31, 0, 31):
        await watched_system.publish_heartbeats(engine=0, price_age_s=age_s)
        await watched_system.run_round()
    assert watched_system.alerts() == [("price:BTC_USDC_PERP", 3, False)]
    with psycopg.connect(watched_system.database) as connection:
        connection.execute(
            "insert into engine.instructions (shard, position, time_us, stamped_us, instruction, kind, "
            "symbol, message) values (0, 1, 1, 1, 'h', 'halt_market', 'BTC_USDC_PERP', '{}')"
        )
    await watched_system.run_round()
    assert watched_system.alerts() == [("price:BTC_USDC_PERP", 3, True)]


async def test_an_old_snapshot_opens_an_alert(watched_system: WatchdogSetup) -> None:
    with psycopg.connect(watched_system.database) as connection:
        connection.execute("update engine.snapshots set created_at = now() - interval '3 minutes'")
    await watched_system.publish_heartbeats(engine=0)
    await watched_system.run_round()
    assert watched_system.alerts() == [("snapshot:0", 1, False)]


async def test_a_price_alert_stays_open_while_redis_is_unavailable(
    watched_system: WatchdogSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    await watched_system.publish_heartbeats(engine=0, price_age_s=31)
    await watched_system.run_round()
    unavailable = RedisLiveSigns("redis://127.0.0.1:1")
    monkeypatch.setattr(watched_system.dog, "_signs", unavailable)
    await watched_system.run_round()
    assert watched_system.alerts() == [("price:BTC_USDC_PERP", 1, False)]
    assert [alert["key"] for alert in watched_system.dog.health()["alerts"]] == ["price:BTC_USDC_PERP"]


async def test_the_watchdog_continues_while_postgres_is_unavailable(
    watched_system: WatchdogSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    working = watched_system.dog._store
    unreachable = PostgresWatchStore("postgresql://unknown@127.0.0.1:1/none", 1, patience_s=0.1)
    await watched_system.publish_heartbeats(engine=0, price_age_s=31)
    monkeypatch.setattr(watched_system.dog, "_store", unreachable)
    await watched_system.run_round()
    assert watched_system.alerts() == []
    monkeypatch.setattr(watched_system.dog, "_store", working)
    await watched_system.run_round()
    assert watched_system.alerts() == [("price:BTC_USDC_PERP", 1, False)]


async def test_a_cause_that_returns_after_an_hour_is_a_new_alert(fresh_database: Callable[[], str]) -> None:
    url = fresh_database()
    session = WorkerConnection(as_role(url, "writer"), "test")

    async def open_alert(connection: Connection) -> bool:
        return await alerts.open_alert(connection, "k", severity="info", source="test", message="m")

    assert await session.transaction(open_alert)
    assert not await session.transaction(open_alert)
    assert await session.transaction(lambda c: alerts.recover(c, "k"))
    assert not await session.transaction(lambda c: alerts.recover(c, "k"))
    with psycopg.connect(url) as connection:
        connection.execute("update ops.alerts set recovered_at = now() - interval '1 hour'")
    assert await session.transaction(open_alert)
    await session.close()
    with psycopg.connect(url) as connection:
        rows = connection.execute("select times, recovered_at is null from ops.alerts order by id").fetchall()
    assert rows == [(1, False), (1, True)]
