"""The watchdog on real servers: alerts open once, say when they are over, and outlive what cannot be seen."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from redis.asyncio import Redis

from paceline.adapters.kafka.producer import EngineLog
from paceline.adapters.postgres.connections.session import Connection, Session
from paceline.adapters.postgres.operations import alerts
from paceline.adapters.redis import operations as health
from paceline.messages.inbound import HaltMarket
from paceline.settings import PREFIX, load
from stream.watchdog.service import WatchdogService
from tests.support.log_topics import fresh_topics

MARKET = """
insert into engine.markets values (0, 0, 1, 'BTC_USDC_PERP', 'BTC', 1, 1, 1, 1, 1, 1, 1);
insert into engine.snapshots (shard, generation, position, next_offset, log_time_us, state_hash,
    schema_version, code_version, chunks, complete) values (0, 0, 1, 1, 1, 'h', 1, 'v', 0, true);
"""


class World:
    """What the other services would say of themselves, and the watchdog."""

    def __init__(self, database: str, redis: Redis, dog: WatchdogService) -> None:
        self.database = database
        self.redis = redis
        self.dog = dog

    async def say(self, engine: int, price_age_s: float = 0) -> None:
        for reader, offset in (("engine", engine), ("writer", 0), ("router", 0)):
            await health.publish(self.redis, reader, "one", {"shards": {"0": {"next_offset": offset}}})
        seen_us = int((time.time() - price_age_s) * 1e6)
        await self.redis.hset("price:BTC_USDC_PERP", "time_us", seen_us)

    async def look(self) -> None:
        await self.dog._round()

    def alerts(self) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database) as connection:
            return connection.execute(
                "select key, times, recovered_at is not null from ops.alerts order by id"
            ).fetchall()


@pytest.fixture
async def world(
    fresh_database: Callable[[], str], redis_url: str, kafka_bootstrap: str, tmp_path: Path
) -> AsyncIterator[World]:
    database = fresh_database()
    with psycopg.connect(database) as connection:
        connection.execute(MARKET)
    await fresh_topics(kafka_bootstrap, 1)
    values = {
        "POSTGRES_URL": database,
        "REDIS_URL": redis_url,
        "KAFKA_BOOTSTRAP": kafka_bootstrap,
        "ENGINE_SHARDS": "1",
        "WATCHDOG_STUCK_S": "2",
        "FEED_SYMBOLS": "BTC_USDC_PERP,ETH_USDC_PERP",
    }
    dog = WatchdogService(load({PREFIX + name: value for name, value in values.items()}, tmp_path))
    redis = Redis.from_url(redis_url)
    await redis.flushall()
    yield World(database, redis, dog)
    await dog.on_stop()
    await redis.aclose()


async def test_a_stuck_engine_is_told_once_and_its_recovery_too(world: World, kafka_bootstrap: str) -> None:
    async with EngineLog(kafka_bootstrap) as log:
        await log.append(0, [HaltMarket("h", 1, "S")])
    await world.say(engine=0)
    await world.look()
    assert world.alerts() == []
    await asyncio.sleep(2.1)
    for _ in range(3):
        await world.look()
    assert world.alerts() == [("position:engine:0", 1, False)]
    assert [alert["key"] for alert in world.dog.health()["alerts"]] == ["position:engine:0"]
    await world.say(engine=1)
    await world.look()
    assert world.alerts() == [("position:engine:0", 1, True)]
    assert world.dog.health()["alerts"] == []


async def test_an_old_price_of_a_market_that_is_open_is_told(world: World) -> None:
    await world.say(engine=0, price_age_s=31)
    await world.look()
    assert world.alerts() == [("price:BTC_USDC_PERP", 1, False)]
    # One that comes and goes does not fill the table.
    for age_s in (0, 31, 0, 31):
        await world.say(engine=0, price_age_s=age_s)
        await world.look()
    assert world.alerts() == [("price:BTC_USDC_PERP", 3, False)]
    with psycopg.connect(world.database) as connection:
        connection.execute(
            "insert into engine.instructions (shard, position, time_us, stamped_us, instruction, kind, "
            "symbol, message) values (0, 1, 1, 1, 'h', 'halt_market', 'BTC_USDC_PERP', '{}')"
        )
    await world.look()
    assert world.alerts() == [("price:BTC_USDC_PERP", 3, True)]


async def test_an_old_snapshot_is_told(world: World) -> None:
    with psycopg.connect(world.database) as connection:
        connection.execute("update engine.snapshots set created_at = now() - interval '3 minutes'")
    await world.say(engine=0)
    await world.look()
    assert world.alerts() == [("snapshot:0", 1, False)]


async def test_without_redis_an_alert_of_prices_stays(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.say(engine=0, price_age_s=31)
    await world.look()
    away = Redis.from_url("redis://127.0.0.1:1")
    monkeypatch.setattr(world.dog, "_redis", away)
    await world.look()
    assert world.alerts() == [("price:BTC_USDC_PERP", 1, False)]
    assert [alert["key"] for alert in world.dog.health()["alerts"]] == ["price:BTC_USDC_PERP"]


async def test_without_postgres_it_goes_on_looking(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    there = world.dog._session
    gone = Session("postgresql://nobody@127.0.0.1:1/none", "test", patience_s=0.1)
    await world.say(engine=0, price_age_s=31)
    monkeypatch.setattr(world.dog, "_session", gone)
    await world.look()
    assert world.alerts() == []
    monkeypatch.setattr(world.dog, "_session", there)
    await world.look()
    assert world.alerts() == [("price:BTC_USDC_PERP", 1, False)]


async def test_a_cause_that_comes_back_much_later_is_a_new_alert(fresh_database: Callable[[], str]) -> None:
    url = fresh_database()
    session = Session(url, "test")

    async def tell(connection: Connection) -> bool:
        return await alerts.open_alert(connection, "k", severity="info", source="test", message="m")

    assert await session.transaction(tell)
    assert not await session.transaction(tell)
    assert await session.transaction(lambda c: alerts.recover(c, "k"))
    assert not await session.transaction(lambda c: alerts.recover(c, "k"))
    with psycopg.connect(url) as connection:
        connection.execute("update ops.alerts set recovered_at = now() - interval '1 hour'")
    assert await session.transaction(tell)
    await session.close()
    with psycopg.connect(url) as connection:
        rows = connection.execute("select times, recovered_at is null from ops.alerts order by id").fetchall()
    assert rows == [(1, False), (1, True)]
