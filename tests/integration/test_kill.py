"""SIGKILL of engine, writer and router during trading: nothing is lost or executed twice.

Real processes on real servers. Then a new engine replays the exported log; Postgres and Redis must hold
exactly its outputs.
"""

import asyncio
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import redis

from paceline.adapters.kafka.producer import EngineInWriter
from paceline.adapters.postgres.numbers import from_numeric
from paceline.core.connections import KafkaConnection
from paceline.core.ids import shard_of
from paceline.core.money import SCALE
from paceline.engine import Engine
from paceline.messages.inbound import CreateTrade, OpenAccount, PriceUpdate
from paceline.messages.json_form import decode_line
from paceline.messages.outbound import ClosedOrder, Outbound
from paceline.usecases.market.markets import default_markets
from tests.support.log_topics import fresh_topics
from tests.support.stream_workers import Worker, running, stream_environment

SHARDS = 2
ACCOUNTS = [f"trader-{n}" for n in range(12)]
SYMBOL = "BTC_USDC_PERP"
ROUNDS = 2
BETWEEN_KILLS_S = 2.5
SERVICES = ("engine", "writer", "router")


def now_us() -> int:
    return time.time_ns() // 1000


class Trading:
    """Moves the price of a market and opens trades with close levels until `stopped` is set."""

    def __init__(self, log: EngineInWriter, seed: int) -> None:
        self.log = log
        self.random = random.Random(seed)
        self.sent: list[str] = []
        self.stopped = False
        self.mid = 60_000

    async def open(self) -> None:
        at_us = now_us()
        for shard in range(SHARDS):
            await self.log.append(shard, default_markets())
        for account in ACCOUNTS:
            self.sent.append(f"open-{account}")
            message = OpenAccount(self.sent[-1], at_us, account, 1_000_000 * SCALE)
            await self.log.append(shard_of(account, SHARDS), [message])

    async def run(self) -> None:
        while not self.stopped:
            await self.move_price()
            for _ in range(3):
                await self.open_trade()
            await asyncio.sleep(0.02)

    async def move_price(self) -> None:
        updates = []
        for _ in range(4):
            self.mid += self.random.randint(-12, 12)
            at_us = now_us()
            bid, ask = self.mid * SCALE, (self.mid + 1) * SCALE
            updates.append(PriceUpdate("p", at_us, SYMBOL, bid, SCALE, ask, SCALE, at_us + len(updates)))
        for shard in range(SHARDS):
            await self.log.append(shard, updates)

    async def open_trade(self) -> None:
        account = self.random.choice(ACCOUNTS)
        self.sent.append(f"trade-{len(self.sent)}")
        message = CreateTrade(
            self.sent[-1],
            now_us(),
            account,
            SYMBOL,
            "long",
            margin=100 * SCALE,
            leverage=self.random.randint(1, 50),
            stop_loss=(self.mid - self.random.randint(30, 90)) * SCALE,
            take_profit=(self.mid + self.random.randint(30, 90)) * SCALE,
        )
        await self.log.append(shard_of(account, SHARDS), [message])


def query(url: str, text: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(text).fetchall()  # type: ignore[call-overload]


async def until(condition: Callable[[], bool], workers: dict[str, Worker], within_s: float = 40) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            logs = "\n".join(f"--- {worker.services}\n{worker.tail()}" for worker in workers.values())
            raise AssertionError(f"not reached within {within_s} s\n{logs}")
        await asyncio.sleep(0.2)


def paceline(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "paceline.cli", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def replayed(file: Path, shard: int) -> tuple[Engine, list[list[Outbound]]]:
    engine = Engine(shard=shard)
    outputs = [engine.apply(decode_line(line)) for line in file.read_bytes().splitlines()]
    engine.check_ledger()
    return engine, outputs


async def test_sigkills_during_trading_lose_and_duplicate_nothing(
    postgres_url: str, redis_url: str, kafka_bootstrap: str, tmp_path: Path
) -> None:
    await fresh_topics(kafka_bootstrap, SHARDS)
    environment = stream_environment(
        tmp_path, postgres_url, redis_url, kafka_bootstrap, engine_shards=SHARDS, snapshot_interval_s=1
    )
    with running(SERVICES, environment, tmp_path) as workers:
        async with EngineInWriter(KafkaConnection(kafka_bootstrap)) as log:
            trading = Trading(log, seed=11)
            await trading.open()
            await until(lambda: answered(postgres_url) > 0, workers)
            traders = asyncio.create_task(trading.run())
            for _ in range(ROUNDS):
                for service in SERVICES:
                    await asyncio.sleep(BETWEEN_KILLS_S)
                    workers[service].kill_and_restart()
            await asyncio.sleep(BETWEEN_KILLS_S)
            trading.stopped = True
            await traders
        await until(lambda: answered(postgres_url) == len(trading.sent), workers)
        await until(lambda: caught_up(postgres_url), workers)
        assert {name: worker.stop() for name, worker in workers.items()} == dict.fromkeys(SERVICES, 0)

    engines, outputs = {}, {}
    for shard in range(SHARDS):
        file = tmp_path / f"shard-{shard}.jsonl"
        paceline(environment, "log", "export", "--shard", str(shard), str(file))
        engines[shard], outputs[shard] = replayed(file, shard)
        report = json.loads(paceline(environment, "replay", str(file), "--shard", str(shard), "--json"))
        assert report["state_hash"] == engines[shard].state_hash()
    check_answers(postgres_url, trading.sent)
    check_closed_orders(postgres_url, outputs)
    check_snapshots(postgres_url, engines)
    check_events(redis_url, outputs)


def answered(url: str) -> int:
    return int(query(url, "select count(*) from engine.instructions where response is not null")[0][0])


def caught_up(url: str) -> bool:
    """Whether router and writer have stored the same position for each shard."""
    standings = query(url, "select count(*), count(distinct (shard, next_position)) from engine.readers")
    return standings == [(2 * SHARDS, SHARDS)]


def check_answers(url: str, sent: list[str]) -> None:
    """Each instruction has one answer."""
    rows = query(url, "select instruction from engine.instructions where account is not null")
    assert Counter(name for (name,) in rows) == Counter(sent)


def check_closed_orders(url: str, outputs: dict[int, list[list[Outbound]]]) -> None:
    """Postgres holds the closed orders of an uninterrupted replay, each once."""
    rows = query(url, "select shard, position, ordinal, trade, profit, fee from engine.closed_orders")
    stored = Counter((*row[:4], from_numeric(row[4]), from_numeric(row[5])) for row in rows)
    expected = Counter(
        (shard, position, ordinal, o.trade, o.profit, o.fee)
        for shard, all_outputs in outputs.items()
        for position, of_message in enumerate(all_outputs)
        for ordinal, o in enumerate(of_message)
        if isinstance(o, ClosedOrder)
    )
    assert sum(expected.values()) > 50
    assert stored == expected


def check_snapshots(url: str, engines: dict[int, Engine]) -> None:
    """The snapshot of the clean stop has the state hash of the replay."""
    for shard, engine in engines.items():
        [(position, stored)] = query(
            url,
            f"select position, state_hash from engine.snapshots where shard = {shard} and complete "
            "order by position desc limit 1",
        )
        assert (position, stored) == (engine.position, engine.state_hash())


def check_events(url: str, outputs: dict[int, list[list[Outbound]]]) -> None:
    """The Redis stream of each account holds its outputs, each once and in order."""
    with redis.Redis.from_url(url, decode_responses=True) as client:
        for account in ACCOUNTS:
            expected = [
                o.id
                for of_message in outputs[shard_of(account, SHARDS)]
                for o in of_message
                if o.account == account
            ]
            entries: Any = client.xrange(f"events:{account}")
            assert [json.loads(entry["json"])["id"] for _, entry in entries] == expected
