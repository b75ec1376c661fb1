"""The feed on real servers: sandbox exchange → feed → Kafka and Redis, dead letters in Postgres."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from redis.asyncio import Redis

from paceline.adapters.postgres.connections.worker import WorkerConnection
from paceline.adapters.postgres.market.dead_frames import DeadFrame, store_dead_frames
from paceline.core.money import parse_decimal
from paceline.core.times import to_datetime
from paceline.messages.inbound import PriceUpdate
from paceline.messages.log_form import decode_messages
from paceline.settings import Settings, load
from sandbox.exchange.faults import FaultRequest
from sandbox.exchange.server import Exchange, Options
from stream.feed.service import FeedService
from tests.support.servers import ROLE_PASSWORDS, as_role
from tests.support.waiting import until

SHARDS = 2
SYMBOLS = {"BTC_USDC_PERP", "ETH_USDC_PERP", "SOL_USDC_PERP", "ADA_USDC_PERP"}


@pytest.fixture
async def topic(kafka_bootstrap: str) -> str:
    name = f"feed.{uuid4().hex[:8]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(name, num_partitions=SHARDS, replication_factor=1)])
    await admin.close()
    return name


@pytest.fixture
def servers(postgres_url: str, redis_url: str, kafka_bootstrap: str) -> dict[str, str]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("truncate market.bars, market.dead_letters")
    return {
        **ROLE_PASSWORDS,
        "PACELINE_POSTGRES_URL": postgres_url,
        "PACELINE_REDIS_URL": redis_url,
        "PACELINE_KAFKA_BOOTSTRAP": kafka_bootstrap,
        "PACELINE_ENGINE_SHARDS": str(SHARDS),
        "PACELINE_FEED_SILENCE_MS": "500",
    }


def settings_of(servers: dict[str, str], exchange: Exchange) -> Settings:
    return load(servers | {"PACELINE_FEED_URL": exchange.url}, Path("/nonexistent"))


@asynccontextmanager
async def running_feed(settings: Settings, topic: str) -> AsyncIterator[FeedService]:
    service = FeedService(settings, topic)
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


def batch_of(value: bytes) -> list[PriceUpdate]:
    batch = list(decode_messages(value))
    assert all(isinstance(update, PriceUpdate) for update in batch)
    return batch  # type: ignore[return-value]


async def read_log(brokers: str, topic: str) -> list[list[list[PriceUpdate]]]:
    """The records of each shard; a record is a batch of price updates."""
    consumer = AIOKafkaConsumer(bootstrap_servers=brokers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, shard) for shard in range(SHARDS)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        shards: list[list[list[PriceUpdate]]] = [[] for _ in partitions]
        async with asyncio.timeout(20):
            while any(len(shards[part.partition]) < end for part, end in ends.items()):
                for part, records in (await consumer.getmany(timeout_ms=200)).items():
                    shards[part.partition] += [batch_of(record.value) for record in records]
        return shards
    finally:
        await consumer.stop()


async def test_prices_reach_every_shard_with_times_in_small_batches(
    servers: dict[str, str], kafka_bootstrap: str, topic: str
) -> None:
    began_us = time.time_ns() // 1000
    async with (
        Exchange(Options(rate_hz=1_000)) as exchange,
        running_feed(settings_of(servers, exchange), topic) as feed,
    ):
        await until(lambda: feed.stats.prices_sent > 500)
        await asyncio.sleep(0.2)
        assert feed.health()["state"] == "running"
    first, second = await read_log(kafka_bootstrap, topic)
    assert first == second
    assert all(1 <= len(batch) <= 500 for batch in first)
    prices = [update for batch in first for update in batch]
    assert {price.symbol for price in prices} == SYMBOLS
    times = [price.time for price in prices]
    assert times == sorted(times)
    assert began_us < times[0] <= times[-1] < time.time_ns() // 1000
    ids = [price.update_id for price in prices]
    assert ids == sorted(set(ids))
    assert len({price.id for price in prices}) == len(prices)


async def test_last_prices_are_on_the_log_and_the_feed_writes_no_bars(
    servers: dict[str, str], kafka_bootstrap: str, redis_url: str, topic: str
) -> None:
    async with Exchange(Options(rate_hz=400)) as exchange:
        settings = settings_of(servers, exchange)
        for _ in range(2):  # the second run continues the prices of the first
            async with running_feed(settings, topic) as feed:
                await until(lambda: feed.stats.prices_sent > 200)
                await asyncio.sleep(0.3)
    [prices, _] = [
        [update for batch in shard for update in batch] for shard in await read_log(kafka_bootstrap, topic)
    ]
    async with Redis.from_url(redis_url, decode_responses=True) as client:
        last = {symbol: await client.hgetall(f"price:{symbol}") for symbol in SYMBOLS}
    assert all(set(price) == {"bid", "ask", "time_us", "update_id"} for price in last.values())
    on_log = {(p.symbol, p.update_id, p.time, p.bid, p.ask) for p in prices}
    for symbol, price in last.items():
        bid, ask = parse_decimal(price["bid"]), parse_decimal(price["ask"])
        assert (symbol, int(price["update_id"]), int(price["time_us"]), bid, ask) in on_log
    with psycopg.connect(settings.database_url) as connection:
        assert connection.execute("select count(*) from market.bars").fetchone() == (0,)


async def test_bad_frames_are_counted_and_stored_and_prices_continue(
    servers: dict[str, str], topic: str
) -> None:
    misbehave = tuple(
        FaultRequest(what, count=24) for what in ("garbage", "duplicates", "old_ids", "string_ids")
    )
    async with Exchange(Options(rate_hz=400, misbehave=misbehave)) as exchange:
        settings = settings_of(servers, exchange)
        async with running_feed(settings, topic) as feed:
            await until(lambda: feed.stats.bad_frames.total() == 24 and feed.stats.prices_sent > 200)
            health = feed.health()
    assert health["bad_frames"] == 24
    assert health["reconnects"] == 0
    with psycopg.connect(settings.database_url) as connection:
        rows = connection.execute("select venue, reason, raw from market.dead_letters order by id").fetchall()
    assert len(rows) == 24
    assert {row[0] for row in rows} == {exchange_of(settings)}
    assert any(
        reason == "unknown_symbol: s: 'DOGE_USDC_PERP' is not a symbol of this feed" for _, reason, _ in rows
    )
    assert b"not json at all" in {bytes(raw) for *_, raw in rows}


def exchange_of(settings: Settings) -> str:
    return settings.exchange_url.removeprefix("ws://")


async def test_dead_letters_are_bounded(servers: dict[str, str]) -> None:
    session = WorkerConnection(as_role(servers["PACELINE_POSTGRES_URL"], "writer"), "test")
    frames = [DeadFrame(to_datetime(n), "venue", f"reason {n}", b"\x00raw") for n in range(30)]
    for part in (frames[:20], frames[20:]):
        await session.transaction(
            lambda connection, part=part: store_dead_frames(connection, part, kept_rows=12)
        )  # type: ignore[misc]
    await session.close()
    with psycopg.connect(servers["PACELINE_POSTGRES_URL"]) as connection:
        kept = connection.execute("select reason from market.dead_letters order by id").fetchall()
    assert [reason for (reason,) in kept] == [f"reason {n}" for n in range(18, 30)]


async def test_the_feed_starts_without_an_exchange_and_reports_it(
    servers: dict[str, str], topic: str
) -> None:
    settings = load(servers | {"PACELINE_FEED_URL": "ws://127.0.0.1:9"}, Path("/nonexistent"))
    async with running_feed(settings, topic) as feed:
        await asyncio.sleep(0.3)
        assert feed.health()["state"] == "degraded"
        assert feed.health()["reason"] == "the exchange cannot be reached"


async def test_the_feed_starts_without_kafka_and_keeps_only_the_newest_prices(
    servers: dict[str, str], topic: str
) -> None:
    without_kafka = servers | {"PACELINE_KAFKA_BOOTSTRAP": "127.0.0.1:9"}
    async with (
        Exchange(Options(rate_hz=5_000)) as exchange,
        running_feed(settings_of(without_kafka, exchange), topic) as feed,
    ):
        await until(lambda: feed.health()["prices_dropped"] > 4_000)
        health = feed.health()
    assert health["prices_waiting"] <= 5_000
    assert health["reason"] == "the log (Kafka) cannot be written"


FEED_PROCESS = """
import asyncio, sys
from pathlib import Path
from paceline.settings import load
from stream.feed.service import FeedService
from tests.support.servers import ROLE_PASSWORDS, as_role
from tests.support.servers import ROLE_PASSWORDS, as_role

async def main():
    environ = dict(item.split("=", 1) for item in sys.argv[2:])
    service = FeedService(load(environ, Path("/nonexistent")), sys.argv[1])
    await service.start()
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def wait_for_update_id_above(update_id: int, client: Redis) -> int:
    """Wait for a last price with an update id above the given one; return its id."""
    for _ in range(600):
        last = int(await client.hget("price:BTC_USDC_PERP", "update_id") or 0)
        if last > update_id:
            return last
        await asyncio.sleep(0.05)
    raise AssertionError("no newer price came")


async def test_ids_and_times_keep_increasing_when_the_feed_is_killed_and_restarted(
    servers: dict[str, str], kafka_bootstrap: str, redis_url: str, topic: str
) -> None:
    async with Exchange(Options(rate_hz=500)) as exchange, Redis.from_url(redis_url) as client:
        await client.flushall()
        environ = servers | {"PACELINE_FEED_URL": exchange.url}
        seen: list[int] = [0]
        for _ in range(3):
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                FEED_PROCESS,
                topic,
                *(f"{name}={value}" for name, value in environ.items()),
            )
            try:
                last = await wait_for_update_id_above(seen[-1], client)
                await asyncio.sleep(0.5)  # while prices are sent
            finally:
                process.kill()
                await process.wait()
            seen.append(last)
    for shard in await read_log(kafka_bootstrap, topic):
        prices = [update for batch in shard for update in batch]
        assert len(prices) > 300
        ids = [price.update_id for price in prices]
        assert ids == sorted(set(ids))
        times = [price.time for price in prices]
        assert times == sorted(times)
