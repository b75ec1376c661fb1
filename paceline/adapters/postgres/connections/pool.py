"""Connections to Postgres for requests."""

from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import psycopg
from msgspec import Struct
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from paceline.adapters.runtime.awaiting import wait_for
from paceline.core.errors import TransientError

Row = dict[str, Any]

_AWAY = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, TooManyRequests)


class Done(Struct):
    """What a statement brought: its rows, or how many it changed."""

    rows: list[Row]
    changed: int

    @property
    def row(self) -> Row | None:
        return self.rows[0] if self.rows else None


class Connection:
    """A connection within its transaction."""

    def __init__(self, connection: psycopg.AsyncConnection[Row]) -> None:
        self._connection = connection

    def execute(self, query: str, values: Any = None) -> Done:
        return wait_for(self._execute(query, values))

    async def _execute(self, query: str, values: Any) -> Done:
        cursor = await self._connection.execute(query.encode(), values)
        return Done(await cursor.fetchall() if cursor.description else [], cursor.rowcount)


class Pool:
    """Bounded. Everything raises `TransientError` when Postgres is away or too busy."""

    def __init__(self, url: str, connections: int, timeout_s: float = 2.0) -> None:
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[Row]] = AsyncConnectionPool(
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
            open=False,
        )

    def rows(self, query: str, values: Any = None) -> list[Row]:
        """All rows of one reading query: a single round trip, done again if the connection was a dead one."""
        with _translated():
            return wait_for(self._rows(query, values))

    def row(self, query: str, values: Any = None) -> Row | None:
        """The first row of one reading query."""
        return next(iter(self.rows(query, values)), None)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection in a transaction. It may have happened even if the commit fails."""
        whole = AsyncExitStack()
        with _translated():
            connection = wait_for(self._begin(whole))
            try:
                yield connection
            except BaseException as error:
                wait_for(whole.__aexit__(type(error), error, error.__traceback__))
                raise
            wait_for(whole.aclose())

    def ping(self) -> None:
        self.rows("select 1")

    def close(self) -> None:
        wait_for(self._pool.close(timeout=5))

    async def _begin(self, whole: AsyncExitStack) -> Connection:
        await self._open()
        await self._pool.check()
        connection = await whole.enter_async_context(self._pool.connection())
        await whole.enter_async_context(connection.transaction())
        return Connection(connection)

    async def _rows(self, query: str, values: Any) -> list[Row]:
        await self._open()
        try:
            return await self._fetched(query, values)
        except (PoolTimeout, TooManyRequests):
            raise
        except (psycopg.OperationalError, psycopg.InterfaceError):
            await self._pool.check()
            return await self._fetched(query, values)

    async def _fetched(self, query: str, values: Any) -> list[Row]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(query.encode(), values)
            return await cursor.fetchall()

    async def _open(self) -> None:
        """A pool opens on the event loop on which it will work."""
        if self._pool.closed:
            await self._pool.open()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except _AWAY as error:
        raise TransientError("The database cannot be reached.") from error
