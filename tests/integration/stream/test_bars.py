"""Bars from the log on servers: kills in mid-minute lose and double nothing, a rebuild gives the same."""

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from paceline.adapters.files.log_archive import LogArchive, Manifest
from paceline.adapters.kafka.log_cut import cut_before
from paceline.adapters.kafka.log_scan import scan
from paceline.adapters.kafka.producer import EngineInWriter
from paceline.adapters.kafka.topics import ENGINE_IN
from paceline.adapters.postgres.numbers import from_numeric
from paceline.core.connections import KafkaConnection
from paceline.core.times import MINUTE_US
from paceline.messages.inbound import Deposit, Inbound, PriceUpdate
from paceline.messages.log_form import decode_messages
from paceline.usecases.replay.export_log import lines_of_record
from tests.support.log_topics import fresh_topics
from tests.support.stream_workers import Worker, running, stream_environment

SHARDS = 2
SYMBOLS = ("BTC_USDC_PERP", "ETH_USDC_PERP", "NOT_CONFIGURED")
START_US = 1_800_000_000_000_000 // MINUTE_US * MINUTE_US

Bars = dict[tuple[str, int], list[int]]


class Prices:
    """Prices of a feed with its faults: old ids, crossed books, zeros. Ten a second of the log's time."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.number = 0

    def batch(self, count: int) -> list[Inbound]:
        return [self._next() for _ in range(count)]

    def _next(self) -> Inbound:
        self.number += 1
        draw = self.random
        if draw.random() < 0.05:
            return Deposit(f"d{self.number}", self._now_us(), "ada", 1)
        update_id = self.number - (draw.randrange(50) if draw.random() < 0.1 else 0)
        bid = 60_000 + draw.randrange(-500, 500)
        ask = bid + draw.choice((1, 2, 30) if draw.random() < 0.9 else (0, -1, -bid))
        symbol = draw.choice(SYMBOLS)
        return PriceUpdate(f"p{self.number}", self._now_us(), symbol, bid, 1, ask, 1, max(update_id, 0))

    def _now_us(self) -> int:
        return START_US + self.number * 100_000


class World:
    """The log, and the reader of bars as a process."""

    def __init__(self, environment: dict[str, str], database: str, brokers: str, folder: Path) -> None:
        self.environment = environment
        self.database = database
        self.brokers = brokers
        self.folder = folder

    async def write(self, log: EngineInWriter, messages: list[Inbound]) -> None:
        for shard in range(SHARDS):
            await log.append(shard, messages)

    async def on_log(self, first: int = 0) -> list[bytes]:
        """The records of shard 0 from this offset on."""
        async with scan(KafkaConnection(self.brokers), ENGINE_IN, 0) as log:
            bounds = await log.bounds()
            return [record.value async for record in log.records(first, bounds.end)]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database) as connection:
            return connection.execute(query).fetchall()  # type: ignore[call-overload]

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.database) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    def stored(self) -> Bars:
        found = self.rows("select * from market.bars")
        return {row[:2]: [*map(from_numeric, row[2:10]), *row[10:12]] for row in found}

    def position(self) -> tuple[int, int]:
        [found] = self.rows("select next_position, next_offset from engine.readers where reader = 'bars'")
        return found  # type: ignore[return-value]

    async def caught_up(self, worker: Worker) -> None:
        """Until the reader has stored all that is on the log."""
        async with scan(KafkaConnection(self.brokers), ENGINE_IN, 0) as log:
            end = (await log.bounds()).end
        deadline = time.monotonic() + 40
        at = "select next_offset from engine.readers where reader = 'bars' and shard = 0"
        while self.rows(at) != [(end,)]:
            assert time.monotonic() < deadline, worker.tail()
            await asyncio.sleep(0.1)

    def rebuild(self, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "paceline.cli", "bars", "rebuild", *map(str, arguments)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
async def world(
    fresh_database: Callable[[], str], redis_url: str, kafka_bootstrap: str, tmp_path: Path
) -> World:
    await fresh_topics(kafka_bootstrap, SHARDS)
    database = fresh_database()
    environment = stream_environment(
        tmp_path, database, redis_url, kafka_bootstrap, engine_shards=SHARDS, snapshot_interval_s=1
    )
    return World(environment, database, kafka_bootstrap, tmp_path)


def expected(records: list[bytes]) -> Bars:
    """The bars by the log alone: prices grouped by minute, then looked at as wholes."""
    last: dict[str, int] = {}
    minutes: dict[tuple[str, int], list[PriceUpdate]] = {}
    for message in (one for record in records for one in decode_messages(record)):
        if not isinstance(message, PriceUpdate) or message.update_id <= last.get(message.symbol, -1):
            continue
        if message.bid > 0 and message.ask > message.bid:
            last[message.symbol] = message.update_id
            key = message.symbol, message.time // MINUTE_US * MINUTE_US
            minutes.setdefault(key, []).append(message)
    return {key: _bar(updates) for key, updates in minutes.items()}


def _bar(updates: list[PriceUpdate]) -> list[int]:
    edges = []
    for prices in ([one.bid for one in updates], [one.ask for one in updates]):
        edges += [prices[0], max(prices), min(prices), prices[-1]]
    return [*edges, len(updates), updates[-1].update_id]


async def feed(world: World, prices: Prices, seconds: float) -> None:
    async with EngineInWriter(KafkaConnection(world.brokers)) as log:
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            await world.write(log, prices.batch(prices.random.randrange(1, 12)))
            await asyncio.sleep(0.005)


async def test_kills_in_mid_minute_lose_and_double_nothing(world: World) -> None:
    prices = Prices(seed=5)
    with running(["bars"], world.environment, world.folder) as workers:
        worker = workers["bars"]
        feeding = asyncio.create_task(feed(world, prices, seconds=14))
        for pause_s in (4.0, 3.3, 2.7):
            await asyncio.sleep(pause_s)
            worker.kill_and_restart()
        await feeding
        await world.caught_up(worker)
        assert worker.stop() == 0
    records = await world.on_log()
    found = expected(records)
    assert sum(bar[8] for bar in found.values()) > 1_000
    assert {symbol for symbol, _ in found} == set(SYMBOLS)
    assert world.stored() == found
    assert world.position() == (sum(len(decode_messages(one)) for one in records), len(records))


async def test_a_rebuild_while_the_reader_runs_and_prices_come_gives_the_same_bars(world: World) -> None:
    prices = Prices(seed=6)
    with running(["bars"], world.environment, world.folder) as workers:
        worker = workers["bars"]
        await feed(world, prices, seconds=2)
        await world.caught_up(worker)
        world.execute("update market.bars set bid_high = 1, updates = updates + 1")
        feeding = asyncio.create_task(feed(world, prices, seconds=8))
        await asyncio.sleep(1)
        done = await asyncio.to_thread(world.rebuild)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("Replaced all bars: ")
        await feeding
        await world.caught_up(worker)
        assert worker.stop() == 0
        assert "shard opened" in worker.tail()
    assert world.stored() == expected(await world.on_log())


async def test_bars_that_were_stored_before_the_reader_began_are_not_doubled(world: World) -> None:
    prices = Prices(seed=7)
    async with EngineInWriter(KafkaConnection(world.brokers)) as log:
        for _ in range(60):
            await world.write(log, prices.batch(10))
    assert world.rebuild().returncode == 0
    world.execute("delete from engine.readers where reader = 'bars'")
    async with EngineInWriter(KafkaConnection(world.brokers)) as log:
        for _ in range(60):
            await world.write(log, prices.batch(10))
    with running(["bars"], world.environment, world.folder) as workers:
        await world.caught_up(workers["bars"])
        assert workers["bars"].stop() == 0
    assert world.stored() == expected(await world.on_log())


async def test_of_a_log_that_was_cut_a_rebuild_takes_the_archive_or_says_from_when_on(world: World) -> None:
    prices, cut, records = Prices(seed=8), 100, 200
    async with EngineInWriter(KafkaConnection(world.brokers)) as log:
        for _ in range(records):
            await world.write(log, prices.batch(10))
    values = await world.on_log()
    archive(world.folder / "archive" / "shard-0", values[:cut])
    whole = expected(values)
    assert world.rebuild().returncode == 0
    await cut_before(KafkaConnection(world.brokers), 0, cut)

    # The first start of a reader is refused, with the reason, until a rebuild has placed it.
    world.execute("delete from engine.readers where reader = 'bars'")
    with running(["bars"], world.environment, world.folder) as workers:
        assert workers["bars"].process.wait(30) == 1
        assert "the log holds offsets 100 to 200" in workers["bars"].tail()
    unknown = world.rebuild()
    assert unknown.returncode != 0
    assert "no snapshot says at which position" in unknown.stderr
    snapshot_at(world, position=10 * 150, offset=150)

    world.execute(f"delete from market.bars where minute_us > {minute_of(values[cut])} + {MINUTE_US}")
    done = json.loads(world.rebuild("--json").stdout)
    assert done["from_us"] == minute_of(values[cut]) + MINUTE_US
    assert (done["at"], world.position()) == ({"position": 2_000, "offset": records}, (2_000, records))
    assert world.stored() == whole

    world.execute("truncate market.bars")
    done = json.loads(world.rebuild("--archive", world.folder / "archive", "--json").stdout)
    assert (done["from_us"], done["messages"]) == (None, 2_000)
    assert world.stored() == whole


def archive(folder: Path, values: list[bytes]) -> None:
    store = LogArchive(folder)
    writer = store.begin(0, 0)
    for offset, value in enumerate(values):
        writer.add(offset, lines_of_record(value))
    store.add(Manifest(shard=0), writer.close())


def minute_of(value: bytes) -> int:
    """Of the first price of a record."""
    first = next(one for one in decode_messages(value) if isinstance(one, PriceUpdate))
    return first.time // MINUTE_US * MINUTE_US


def snapshot_at(world: World, position: int, offset: int) -> None:
    world.execute(
        "insert into engine.snapshots (shard, generation, position, next_offset, log_time_us, state_hash, "
        "schema_version, code_version, chunks, complete) "
        f"values (0, 0, {position}, {offset}, 1, 'h', 1, 'test', 0, true)"
    )
