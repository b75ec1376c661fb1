"""Postgres, Redis and Kafka for a benchmark, on free ports and in a folder that is deleted afterwards."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import psycopg
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from paceline.adapters.kafka.topics import TOPICS, ensure_topics
from paceline.adapters.postgres.migrate import migrate
from paceline.core.connections import KafkaConnection
from paceline.local.processes.ports import free_port
from paceline.local.processes.process import spawn
from paceline.local.processes.scheduling import real_time_priority, real_time_services
from paceline.local.servers import server
from paceline.local.servers.kafka import LocalKafka
from paceline.local.servers.postgres import DATABASE_SQL, OWNER, SUPERUSER, LocalPostgres
from paceline.local.servers.redis import LocalRedis
from paceline.settings import settings

_numbers = count(1)
_PASSWORD = "only-for-the-bench"  # noqa: S105 - a test server


@dataclass(frozen=True)
class Servers:
    """URLs of the servers. Before `fresh` the log has no topics and the database no tables.

    `postgres` is the superuser's: only it can make databases. What is measured connects `as_role`.
    """

    folder: Path
    postgres: str
    redis: str
    kafka: str

    def fresh(self, shards: int = 1) -> "Servers":
        """The same servers with an empty log of `shards` shards and an empty database."""
        name = f"bench_{next(_numbers)}"
        with psycopg.connect(self.postgres, autocommit=True) as connection:
            connection.execute(f"create database {name} owner {OWNER}")
        database = f"{self.postgres.rpartition('/')[0]}/{name}"
        with psycopg.connect(database) as connection:
            connection.execute(DATABASE_SQL.read_bytes())
        migrate(as_role(database, OWNER))
        asyncio.run(_empty_log(self.kafka, shards))
        return replace(self, postgres=database)

    def environment(self, shards: int) -> dict[str, str]:
        """The settings for services that use these servers."""
        return {
            "PACELINE_VAR_DIR": str(self.folder),
            "PACELINE_POSTGRES_URL": self.postgres,
            "PACELINE_API_DATABASE_PASSWORD": _PASSWORD,
            "PACELINE_WRITER_DATABASE_PASSWORD": _PASSWORD,
            "PACELINE_REDIS_URL": self.redis,
            "PACELINE_KAFKA_BOOTSTRAP": self.kafka,
            "PACELINE_ENGINE_SHARDS": str(shards),
        }


def as_role(url: str, role: str) -> str:
    """The same database as another role; all have one password here."""
    return url.replace(f"{SUPERUSER}:", f"{role}:", 1)


async def _empty_log(brokers: str, shards: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=brokers)
    await admin.start()
    try:
        if present := set(await admin.list_topics()) & set(TOPICS):
            await admin.delete_topics(sorted(present))
        async with asyncio.timeout(20):
            while set(await admin.list_topics()) & set(TOPICS):  # noqa: ASYNC110  (Kafka has no event)
                await asyncio.sleep(0.05)
    finally:
        await admin.close()
    await ensure_topics(KafkaConnection(brokers), shards)


async def make_topic(brokers: str, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=brokers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 1, 1)])
    finally:
        await admin.close()


async def use_append_timestamps(brokers: str, *topics: str) -> None:
    """Make Kafka set the timestamps of records when it appends them, instead of the clients."""
    admin = AIOKafkaAdminClient(bootstrap_servers=brokers)
    await admin.start()
    try:
        configs = {"message.timestamp.type": "LogAppendTime"}
        await admin.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, topic, configs=configs) for topic in topics]
        )
    finally:
        await admin.close()


def priority_services() -> Collection[str]:
    """The services that run with priority under `paceline up`."""
    return real_time_services(settings())


def priority_of(service: str) -> AbstractContextManager[bool]:
    """Give this thread and its new threads the priority that a service has under `paceline up`."""
    return real_time_priority() if service in priority_services() else nullcontext(False)


@contextmanager
def running_servers() -> Iterator[Servers]:
    with ExitStack() as stack:
        name = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="paceline-bench-", ignore_cleanup_errors=True)
        )
        folder = Path(name)
        folder.chmod(0o755)
        urls = []
        for one in (
            LocalPostgres(folder / "postgres", free_port(), password=_PASSWORD),
            LocalRedis(folder / "redis", free_port()),
            LocalKafka(folder / "kafka", free_port(), controller_port=free_port()),
        ):
            running = server.start(one, first=priority_services())[0]
            stack.callback(running.stop)
            urls.append(one.superuser_url if isinstance(one, LocalPostgres) else running.url)
        yield Servers(folder, *urls)


@contextmanager
def worker(service: str, servers: Servers) -> Iterator[None]:
    """A stream worker in its own process, as `paceline up` starts it."""
    with (servers.folder / f"{service}.log").open("ab") as log:
        process = spawn(
            [sys.executable, "-m", "paceline.cli", "stream", service],
            cwd=Path.cwd(),
            output=log,
            environment=os.environ | servers.environment(1),
            first=service in priority_services(),
        )
    with terminated_at_end(process):
        yield


@contextmanager
def terminated_at_end(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Terminate the process at the end, and kill it if it does not stop within 15 s."""
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
