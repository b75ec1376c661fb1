"""Connections to Postgres for request threads."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool, PoolTimeout, TooManyRequests

from paceline.core.errors import TransientError

Row = dict[str, Any]
Connection = psycopg.Connection[Row]

_AWAY = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, TooManyRequests)


class Pool:
    """Bounded. Everything raises `TransientError` when Postgres is away or too busy."""

    def __init__(self, url: str, connections: int, timeout_s: float = 2.0) -> None:
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            url,
            min_size=1,
            max_size=connections,
            timeout=timeout_s,
            max_waiting=4 * connections,
            kwargs={
                "autocommit": True,
                "row_factory": dict_row,
                "application_name": "paceline-api",
                "connect_timeout": 2,
            },
            name="paceline-api",
            open=True,
        )

    def rows(self, query: str, values: Any = None) -> list[Row]:
        """All rows of one reading query: a single round trip, done again if the connection was a dead one."""
        with _translated():
            try:
                return self._rows(query, values)
            except (PoolTimeout, TooManyRequests):
                raise
            except (psycopg.OperationalError, psycopg.InterfaceError):
                self._pool.check()
                return self._rows(query, values)

    def row(self, query: str, values: Any = None) -> Row | None:
        """The first row of one reading query."""
        return next(iter(self.rows(query, values)), None)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection in a transaction. It may have happened even if the commit fails."""
        with _translated():
            self._pool.check()
            with self._pool.connection() as connection, connection.transaction():
                yield connection

    def ping(self) -> None:
        self.rows("select 1")

    def close(self) -> None:
        self._pool.close(timeout=5)

    def _rows(self, query: str, values: Any) -> list[Row]:
        with self._pool.connection() as connection:
            return connection.execute(query.encode(), values).fetchall()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except _AWAY as error:
        raise TransientError("The database cannot be reached.") from error
