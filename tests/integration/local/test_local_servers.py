"""The servers from wheels: they start, keep data over a crash, and stop with all child processes."""

import asyncio
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from psycopg.conninfo import make_conninfo

from paceline.adapters.postgres.migrate import migrate
from paceline.local.processes.process import is_alive
from paceline.local.servers import server
from paceline.local.servers.kafka import LocalKafka
from paceline.local.servers.postgres import DATABASE_SQL, OWNER, ROLES_SQL, LocalPostgres, binaries
from paceline.local.servers.redis import LocalRedis
from paceline.settings import DATABASE_ROLES
from tests.support.servers import as_role, free_port, in_database


def test_postgres_has_its_databases_and_roles(postgres_server: server.RunningServer) -> None:
    with psycopg.connect(postgres_server.url) as connection:
        databases = {row[0] for row in connection.execute("select datname from pg_database")}
        assert {"paceline", "airflow"} <= databases
        row = connection.execute("select rolsuper from pg_roles where rolname = current_user").fetchone()
        assert row == (False,)
    for role in ("api", "writer", "nightly", "analyst"):
        with psycopg.connect(as_role(postgres_server.url, role)) as connection:
            assert connection.execute("select current_user").fetchone() == (role,)


def test_postgres_refuses_a_wrong_password(postgres_server: server.RunningServer) -> None:
    wrong = postgres_server.url.replace("only-for-tests", "guess")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_a_fresh_database_is_migrated_and_isolated(fresh_database: Callable[[], str]) -> None:
    one, other = fresh_database(), fresh_database()
    with psycopg.connect(one) as connection:
        connection.execute("insert into engine.installation (shards) values (4)")
    with psycopg.connect(other) as connection:
        assert connection.execute("select count(*) from engine.installation").fetchone() == (0,)


def test_redis_answers(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.set("key", "value")
        assert client.get("key") == b"value"


@pytest.fixture
def ports() -> list[int]:
    return [free_port() for _ in range(4)]


def _all_servers(folder: Path, ports: list[int]) -> tuple[LocalPostgres, LocalRedis, LocalKafka]:
    return (
        LocalPostgres(folder / "postgres", ports[0], password="p'w d", passwords={"analyst": "other"}),
        LocalRedis(folder / "redis", ports[1]),
        LocalKafka(folder / "kafka", ports[2], controller_port=ports[3]),
    )


async def _produce(bootstrap: str, topic: str) -> int:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True)
    await producer.start()
    try:
        return int((await producer.send_and_wait(topic, b"kept")).offset)
    finally:
        await producer.stop()


async def _create(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


def test_all_servers_keep_their_data_after_sigkill(ports: list[int], server_folder: Path) -> None:
    folder = server_folder
    running = server.start(*_all_servers(folder, ports))
    try:
        with psycopg.connect(running[0].url, autocommit=True) as connection:
            connection.execute("create schema mine; create table mine.kept as select 42 as answer")
        asyncio.run(_create(running[2].url, "kept"))
        assert asyncio.run(_produce(running[2].url, "kept")) == 0
        children = [
            process for one in running for process in psutil.Process(one.pid).children(recursive=True)
        ]
        for one in running:
            one.kill()
        assert not [process for process in children if is_alive(process)]
        # As after a reboot: the PID in the lock file belongs to another process.
        (folder / "postgres/data/postmaster.pid").write_text("1\n")

        running = server.start(*_all_servers(folder, ports))
        with psycopg.connect(running[0].url) as connection:
            assert connection.execute("select answer from mine.kept").fetchone() == (42,)
        assert asyncio.run(_produce(running[2].url, "kept")) == 1
    finally:
        server.stop(running)
    assert not [one for one in running if psutil.pid_exists(one.pid)]


def test_data_from_before_the_roles_gets_them(ports: list[int], server_folder: Path) -> None:
    """The superuser had the owner's password, and Airflow's tables were the owner's."""
    folder = server_folder / "pg"
    old = LocalPostgres(folder, ports[0], password="owner", durable=False)
    running = server.start(old)
    try:
        with psycopg.connect(in_database(old.superuser_url, "airflow"), autocommit=True) as connection:
            connection.execute(
                "alter database airflow owner to paceline; set role paceline; "
                "create type state as enum ('queued'); create table dag (id serial primary key, state state)"
            )
    finally:
        server.stop(running)
    passwords = {"airflow": "airflow's", "api": "api's"}
    new = replace(old, superuser_password="root", passwords=passwords)
    running = server.start(new)
    try:
        url = new.url.replace("paceline:owner", "airflow:airflow%27s").replace("/paceline", "/airflow")
        with psycopg.connect(url) as connection:
            connection.execute("alter table dag add column more int; alter type state add value 'done'")
        with psycopg.connect(new.url.replace("paceline:owner", "api:api%27s")):
            pass
        with psycopg.connect(new.superuser_url):
            pass
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(old.superuser_url)
    finally:
        server.stop(running)


@dataclass
class EmptyPostgres(LocalPostgres):
    """As the database container is when it runs `docker/postgres-init.sh`: without roles and databases."""

    def settle(self) -> None:
        return


def test_the_database_container_makes_the_same_roles(ports: list[int], server_folder: Path) -> None:
    local = EmptyPostgres(server_folder / "pg", ports[0], password="root", durable=False)
    servers = ROLES_SQL.parent
    script = (servers.parents[2] / "docker" / "postgres-init.sh").read_text()
    script = script.replace("/roles.sql", str(ROLES_SQL)).replace("/databases.sql", str(DATABASE_SQL))
    passwords = {role: f"it's {role}'s \\ $1" for role in (*DATABASE_ROLES, OWNER)}
    environment = {
        **{f"PASSWORD_OF_{role}": password for role, password in passwords.items()},
        "POSTGRES_USER": "postgres",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(local.port),
        "PGPASSWORD": "root",
        "PATH": f"{binaries()}:{os.environ['PATH']}",
    }
    running = server.start(local)
    try:
        subprocess.run(["sh", "-c", script], env=environment, check=True, capture_output=True)
        for role, password in passwords.items():
            conninfo = make_conninfo(
                host="127.0.0.1",
                port=local.port,
                user=role,
                password=password,
                dbname="airflow" if role == "airflow" else "paceline",
            )
            with psycopg.connect(conninfo) as connection:
                assert connection.execute("select current_user").fetchone() == (role,)
        assert migrate(local._url(OWNER, passwords[OWNER], "paceline"))[1] is not None
    finally:
        server.stop(running)


def test_a_changed_password_is_reported_with_the_cause(ports: list[int], server_folder: Path) -> None:
    folder = server_folder
    server.stop(server.start(LocalPostgres(folder / "pg", ports[0], password="first", durable=False)))
    with pytest.raises(server.ServerFailed, match=r"has another password.*secrets\.env"):
        server.start(LocalPostgres(folder / "pg", ports[0], password="second", durable=False))


def test_a_taken_port_leaves_nothing_running(
    ports: list[int], redis_server: server.RunningServer, server_folder: Path
) -> None:
    folder = server_folder
    with pytest.raises(
        server.ServerFailed, match=r"port \d+ is taken by PID \d+ \(.+\): .*PACELINE_REDIS_PORT"
    ):
        server.start(
            LocalPostgres(folder / "pg", ports[0], password="x", durable=False),
            LocalRedis(folder / "redis", redis_server.server.port),
        )
    assert not [p for p in psutil.process_iter() if str(folder) in " ".join(_command_line(p))]


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
