"""Connections that die, that are all taken, that take too long: what their users see of it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import psycopg
import pytest

from paceline.adapters.postgres.connections.connect import Connection
from paceline.adapters.postgres.connections.health import HealthConnection
from paceline.adapters.postgres.connections.pool import Pool
from paceline.adapters.postgres.connections.worker import WorkerConnection
from paceline.core.errors import TransientError
from tests.support.servers import as_role

ONE = [{"one": 1}]
QUERY = "select 1 as one"


@pytest.fixture(scope="module")
def admin(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def pool(postgres_url: str) -> Iterator[Pool]:
    with closing(Pool(as_role(postgres_url, "api"), connections=2, timeout_s=0.3)) as opened:
        yield opened


def kill(admin: psycopg.Connection, name: str) -> int:
    """End the sessions of an application, and wait until they have ended."""
    query = (
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
        "where datname = current_database() and application_name = %s"
    )
    return len(admin.execute(query, (name,)).fetchall())


def test_a_read_is_repeated_on_another_connection(pool: Pool, admin: psycopg.Connection) -> None:
    reads: list[Callable[[], Any]] = [
        lambda: pool.rows(QUERY),
        lambda: pool.of("ada").rows(QUERY),
        lambda: pool.of("ada").snapshot((QUERY, None))[0],
    ]
    assert pool.rows(QUERY) == ONE
    for read in reads:
        assert kill(admin, "paceline-api") > 0
        assert read() == ONE


def test_a_transaction_begins_on_another_connection_but_is_not_repeated(
    pool: Pool, admin: psycopg.Connection
) -> None:
    assert pool.rows(QUERY) == ONE
    assert kill(admin, "paceline-api") > 0
    with pool.of("ada").transaction() as connection:
        assert connection.execute(QUERY).rows == ONE
    with ExitStack() as stack:
        stack.enter_context(pytest.raises(TransientError))
        connection = stack.enter_context(pool.of("ada").transaction())
        assert kill(admin, "paceline-api") > 0
        connection.execute(QUERY)


def test_a_request_sends_nothing_on_connections_that_it_does_not_use(
    pool: Pool, admin: psycopg.Connection
) -> None:
    """Each idle connection used to be asked whether it lives, before every transaction."""

    def last_used() -> set[tuple[int, Any]]:
        query = (
            "select pid, state_change from pg_stat_activity "
            "where application_name = 'paceline-api' and datname = current_database()"
        )
        return {(row[0], row[1]) for row in admin.execute(query).fetchall()}

    with pool.transaction(), pool.transaction():
        pass
    before = last_used()
    assert len(before) == 2
    with pool.of("ada").transaction() as connection:
        connection.execute(QUERY)
    assert len(before - last_used()) == 1


def test_a_statement_that_takes_too_long_is_ended(pool: Pool) -> None:
    with pool.transaction() as connection:
        connection.execute("set local statement_timeout = '50ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("select pg_sleep(5)")
    assert pool.rows(QUERY) == ONE


def test_health_is_answered_while_all_connections_are_taken(postgres_url: str, pool: Pool) -> None:
    with (
        closing(HealthConnection(as_role(postgres_url, "api"))) as health,
        pool.transaction(),
        pool.transaction(),
    ):
        with pytest.raises(TransientError):
            pool.rows(QUERY)
        health.ping()
        assert health.rows(QUERY) == ONE


def test_health_takes_one_connection_and_replaces_a_dead_one(
    postgres_url: str, admin: psycopg.Connection
) -> None:
    with closing(HealthConnection(as_role(postgres_url, "api"))) as health:
        for _ in range(20):
            health.ping()
        assert kill(admin, "paceline-health") == 1
        health.ping()
        assert kill(admin, "paceline-health") == 1


async def test_a_worker_that_was_idle_in_its_transaction_for_too_long_begins_again(postgres_url: str) -> None:
    session = WorkerConnection(as_role(postgres_url, "writer"), "test", patience_s=10)
    attempts = 0

    async def work(connection: Connection) -> int:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            await connection.execute("set idle_in_transaction_session_timeout = '20ms'")
            with psycopg.connect(postgres_url) as other:
                other.execute("select pg_sleep(0.3)")
        await connection.execute("select 1")
        return attempts

    assert await session.transaction(work) == 2
    await session.close()
