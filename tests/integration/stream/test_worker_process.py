"""How a worker process ends: cleanly on SIGINT, with a reason and an exit code on a failure."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import redis

from paceline.adapters.kafka.producer import EngineInWriter
from paceline.adapters.redis.operations import heartbeats, merge_heartbeats
from paceline.core.connections import KafkaConnection
from paceline.messages.inbound import OpenAccount
from tests.support.log_topics import fresh_topics
from tests.support.stream_workers import Worker, running, stream_environment

SHARDS = 2


@pytest.fixture
async def environment(
    fresh_database: Callable[[], str], redis_url: str, kafka_bootstrap: str, tmp_path: Path
) -> dict[str, str]:
    await fresh_topics(kafka_bootstrap, SHARDS)
    return stream_environment(
        tmp_path, fresh_database(), redis_url, kafka_bootstrap, engine_shards=SHARDS, snapshot_interval_s=1
    )


def wait_for(condition: Callable[[], bool], worker: Worker, within_s: float = 30) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, worker.tail()
        time.sleep(0.1)


async def test_sigint_ends_the_worker_cleanly_after_heartbeats_and_snapshots(
    environment: dict[str, str], redis_url: str, tmp_path: Path
) -> None:
    with (
        running(["engine,router"], environment, tmp_path) as workers,
        redis.Redis.from_url(redis_url) as cache,
    ):
        worker = workers["engine,router"]
        wait_for(lambda: states(cache, "engine") == ["running"], worker)
        wait_for(lambda: lags(cache, "router") == [0, 0], worker)
        worker.process.send_signal(signal.SIGINT)
        assert worker.process.wait(10) == 0
    with psycopg.connect(environment["PACELINE_POSTGRES_URL"]) as connection:
        snapshots = connection.execute("select shard from engine.snapshots where complete").fetchall()
    assert {shard for (shard,) in snapshots} == {0, 1}


def states(cache: redis.Redis, service: str) -> list[str]:
    return [beat["state"] for beat in heartbeats(cache.execute_command).get(service, [])]


def lags(cache: redis.Redis, service: str) -> list[int]:
    shards = merge_heartbeats(heartbeats(cache.execute_command).get(service, [])).get("shards", {})
    return [shard["lag"] for shard in shards.values()]


async def test_a_changed_number_of_shards_ends_the_worker_with_the_reason(
    environment: dict[str, str], tmp_path: Path
) -> None:
    other = environment | {"PACELINE_ENGINE_SHARDS": "3"}
    with running(["writer"], other, tmp_path) as workers:
        assert workers["writer"].process.wait(30) == 1
        assert "has 2 partitions, but PACELINE_ENGINE_SHARDS is 3" in workers["writer"].tail()


async def test_a_permanent_failure_of_a_service_ends_the_process(
    environment: dict[str, str], kafka_bootstrap: str, tmp_path: Path
) -> None:
    with psycopg.connect(environment["PACELINE_POSTGRES_URL"], autocommit=True) as connection:
        connection.execute("alter table engine.accounts add constraint no_accounts check (account = '')")
    with running(["engine,writer"], environment, tmp_path) as workers:
        async with EngineInWriter(KafkaConnection(kafka_bootstrap)) as log:
            await log.append(0, [OpenAccount("o", 1, "a", 1)])
        assert workers["engine,writer"].process.wait(30) not in (0, None)
        assert "CheckViolation" in workers["engine,writer"].tail()


async def test_the_one_shot_commands_create_topics_and_markets(
    environment: dict[str, str], kafka_bootstrap: str, tmp_path: Path
) -> None:
    assert "All topics are there" in command(environment, "topics")
    assert "has the newest schema" in command(environment, "migrate")
    assert "Wrote 8 configurations" in command(environment, "markets")
    with running(["engine,writer"], environment, tmp_path) as workers:
        url = environment["PACELINE_POSTGRES_URL"]
        wait_for(lambda: stored_markets(url) == 8, workers["engine,writer"])
        assert workers["engine,writer"].stop() == 0
    assert "All markets are configured" in command(environment, "markets")


def stored_markets(url: str) -> int:
    with psycopg.connect(url) as connection:
        [(count,)] = connection.execute("select count(*) from engine.markets").fetchall()
    return int(count)


def command(environment: dict[str, str], name: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "paceline.cli", name],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
