"""Real servers for tests. Each kind starts at most once per session, on free ports, in a temporary folder.

Fixtures: `postgres_url` (a fresh migrated database for each test module), `redis_url` (emptied for each test
module), `kafka_bootstrap` (each test creates its own topics, with unique
names).
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from paceline.local.processes.ports import free_port
from paceline.local.servers import server
from paceline.local.servers.kafka import LocalKafka
from paceline.local.servers.postgres import DATABASE_SQL, OWNER, LocalPostgres
from paceline.local.servers.redis import LocalRedis
from paceline.settings import DATABASE_ROLES

__all__ = ["free_port", "in_database", "open_folder"]

PASSWORD = "only-for-tests"
# With these and PACELINE_POSTGRES_URL, a service finds its role on the server of the tests.
ROLE_PASSWORDS = {
    f"PACELINE_{'ANALYST' if role == 'analyst' else f'{role.upper()}_DATABASE'}_PASSWORD": PASSWORD
    for role in DATABASE_ROLES
}
_TEMPLATE = "migrated"


def open_folder() -> Path:
    """A temporary folder that Postgres's user can enter even when the tests run as root."""
    folder = Path(tempfile.mkdtemp(prefix="paceline-test-"))
    folder.chmod(0o755)
    return folder


@pytest.fixture
def server_folder() -> Iterator[Path]:
    """A folder for a test that starts its own servers."""
    folder = open_folder()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def servers_folder() -> Iterator[Path]:
    folder = open_folder()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _running(one: server.LocalServer) -> Iterator[server.RunningServer]:
    [running] = server.start(one)
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def postgres_server(servers_folder: Path) -> Iterator[server.RunningServer]:
    """The session's Postgres, with a migrated template database."""
    from paceline.adapters.postgres.migrate import migrate

    local = LocalPostgres(servers_folder / "postgres", free_port(), password=PASSWORD, durable=False)
    for running in _running(local):
        with psycopg.connect(local.superuser_url, autocommit=True) as connection:
            connection.execute(
                sql.SQL("create database {} owner {}").format(
                    sql.Identifier(_TEMPLATE), sql.Identifier(OWNER)
                )
            )
        migrate(in_database(running.url, _TEMPLATE))
        yield running


@pytest.fixture(scope="session")
def redis_server(servers_folder: Path) -> Iterator[server.RunningServer]:
    yield from _running(LocalRedis(servers_folder / "redis", free_port()))


@pytest.fixture(scope="session")
def kafka_server(servers_folder: Path) -> Iterator[server.RunningServer]:
    yield from _running(LocalKafka(servers_folder / "kafka", free_port(), controller_port=free_port()))


@pytest.fixture(scope="module")
def fresh_database(postgres_server: server.RunningServer) -> Callable[[], str]:
    """Create a migrated database with each call (about 50 ms)."""
    # Not dropped: a running autovacuum would prevent it. They are deleted with the server.
    return lambda: make_database(postgres_server, f"test_{uuid4().hex[:12]}")


def make_database(postgres: server.RunningServer, name: str) -> str:
    """A migrated database. The URL is the superuser's, who sees all rows."""
    assert isinstance(postgres.server, LocalPostgres)
    url = postgres.server.superuser_url
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("create database {} template {} owner {}").format(
                sql.Identifier(name), sql.Identifier(_TEMPLATE), sql.Identifier(OWNER)
            )
        )
    with psycopg.connect(in_database(url, name)) as connection:
        connection.execute(DATABASE_SQL.read_bytes())
    return in_database(url, name)


@pytest.fixture(scope="module")
def postgres_url(fresh_database: Callable[[], str]) -> str:
    """This module's own migrated database, as the superuser: to fill it and to look at all of it.

    What is tested connects as its own role: `as_role` and `ROLE_PASSWORDS`.
    """
    return fresh_database()


@pytest.fixture(scope="module")
def redis_url(redis_server: server.RunningServer) -> str:
    """The session's Redis, emptied for this module."""
    import redis

    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture(scope="session")
def kafka_bootstrap(kafka_server: server.RunningServer) -> str:
    return kafka_server.url


def as_role(url: str, role: str) -> str:
    """The same database as another role."""
    part = conninfo_to_dict(url)
    return f"postgresql://{role}:{PASSWORD}@{part['host']}:{part['port']}/{part['dbname']}"


def in_database(url: str, name: str) -> str:
    """The URL of another database on the same server, for the same role."""
    part = conninfo_to_dict(url)
    return f"postgresql://{part['user']}:{part['password']}@{part['host']}:{part['port']}/{name}"
