"""Connections to Postgres for request threads."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from paceline.core.errors import TransientError

Connection = psycopg.Connection[dict[str, Any]]


class Pool:
    """Bounded; a connection is checked before it is lent. Opening one is left to the first need."""

    def __init__(self, url: str, connections: int, timeout_s: float = 2.0) -> None:
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            url,
            min_size=1,
            max_size=connections,
            timeout=timeout_s,
            max_waiting=4 * connections,
            check=ConnectionPool.check_connection,
            kwargs={"row_factory": dict_row, "application_name": "paceline-api", "connect_timeout": 2},
            name="paceline-api",
            open=True,
        )

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection in a transaction; `TransientError` when Postgres is away or too busy."""
        try:
            with self._pool.connection() as connection:
                yield connection
        except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout) as error:
            raise TransientError("The database cannot be reached.") from error

    def ping(self) -> None:
        with self.transaction() as connection:
            connection.execute("select 1")

    def close(self) -> None:
        self._pool.close(timeout=5)
