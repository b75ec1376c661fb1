"""Two engine workers share the shards. One takes over when the other dies, and returns them later."""

import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import redis

from paceline.adapters.kafka.producer import EngineInWriter
from paceline.adapters.redis.operations import heartbeats, merge_heartbeats
from paceline.core.connections import KafkaConnection
from paceline.core.ids import shard_of
from paceline.messages.inbound import OpenAccount
from tests.support.log_topics import fresh_topics
from tests.support.stream_workers import Worker, running, stream_environment

SHARDS = 4
TAKEN_OVER_WITHIN_S = 10
GIVEN_BACK_WITHIN_S = 40  # the other worker starts first


def shards_of(cache: redis.Redis, worker: Worker) -> set[str]:
    """The shards of a worker, from its heartbeats of the last two seconds."""
    beats = heartbeats(cache.execute_command).get("engine", [])
    return {shard for beat in beats if beat["pid"] == worker.process.pid for shard in beat.get("shards", {})}


def wait_for(condition: Callable[[], bool], workers: list[Worker], within_s: float) -> float:
    """Wait for the condition; return the seconds that it took."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < within_s, "\n---\n".join(worker.tail() for worker in workers)
        time.sleep(0.05)
    return time.monotonic() - begun


async def open_accounts(brokers: str, prefix: str) -> None:
    """Open one account on each shard."""
    names: dict[int, str] = {}
    for number in range(100):
        names.setdefault(shard_of(f"{prefix}-{number}", SHARDS), f"{prefix}-{number}")
    async with EngineInWriter(KafkaConnection(brokers)) as log:
        for shard, name in names.items():
            await log.append(shard, [OpenAccount(f"open-{name}", time.time_ns() // 1000, name, 10**8)])


def opened(url: str) -> int:
    with psycopg.connect(url) as connection:
        [(count,)] = connection.execute("select count(*) from engine.accounts").fetchall()
    return int(count)


async def test_shards_of_a_dead_worker_move_within_ten_seconds_and_return(
    fresh_database: Callable[[], str], redis_url: str, kafka_bootstrap: str, tmp_path: Path
) -> None:
    await fresh_topics(kafka_bootstrap, SHARDS)
    url = fresh_database()
    environment = stream_environment(
        tmp_path, url, redis_url, kafka_bootstrap, engine_shards=SHARDS, snapshot_interval_s=1
    )
    (tmp_path / "second").mkdir()
    with (
        running(["engine", "writer"], environment, tmp_path) as workers,
        running(["engine"], environment, tmp_path / "second") as more,
        redis.Redis.from_url(redis_url) as cache,
    ):
        cache.flushall()
        first, second = workers["engine"], more["engine"]
        both = [first, second]
        wait_for(lambda: [len(shards_of(cache, worker)) for worker in both] == [2, 2], both, 60)
        all_shards = {str(shard) for shard in range(SHARDS)}
        assert (
            set(merge_heartbeats(heartbeats(cache.execute_command).get("engine", []))["shards"]) == all_shards
        )

        second.process.kill()
        killed = time.monotonic()
        await open_accounts(kafka_bootstrap, "orphan")
        wait_for(lambda: opened(url) == SHARDS, both, TAKEN_OVER_WITHIN_S)
        print(f"the shards of a dead worker were served again after {time.monotonic() - killed:.1f} s")
        wait_for(lambda: shards_of(cache, first) == all_shards, both, 5)

        second.kill_and_restart()
        given_back = wait_for(
            lambda: [len(shards_of(cache, worker)) for worker in both] == [2, 2], both, GIVEN_BACK_WITHIN_S
        )
        print(f"they were given back {given_back:.1f} s after it was started again")
        await open_accounts(kafka_bootstrap, "later")
        wait_for(lambda: opened(url) == 2 * SHARDS, both, TAKEN_OVER_WITHIN_S)
        assert {worker.stop() for worker in (*both, workers["writer"])} == {0}
