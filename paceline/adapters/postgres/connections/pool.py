"""The pool of Postgres connections for requests."""

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

_UNAVAILABLE = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, TooManyRequests)


class Done(Struct):
    """The result of a statement: its rows, or how many rows it changed."""

    rows: list[Row]
    changed: int

    @property
    def row(self) -> Row | None:
        return self.rows[0] if self.rows else None


class Connection:
    """A connection inside a transaction."""

    def __init__(self, connection: psycopg.AsyncConnection[Row]) -> None:
        self._connection = connection

    def execute(self, query: str, values: Any = None) -> Done:
        return wait_for(self._execute(query, values))

    async def _execute(self, query: str, values: Any) -> Done:
        cursor = await self._connection.execute(query.encode(), values)
        return Done(await cursor.fetchall() if cursor.description else [], cursor.rowcount)


class Pool:
    """A bounded pool. All methods raise `TransientError` if Postgres is unavailable or too busy."""

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
        """All rows of one read-only query: one round trip, repeated if the connection was broken."""
        with _translate_errors():
            return wait_for(self._rows(query, values))

    def row(self, query: str, values: Any = None) -> Row | None:
        """The first row of one read-only query."""
        return next(iter(self.rows(query, values)), None)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection in a transaction. If the commit fails, it may have happened all the same."""
        exits = AsyncExitStack()
        with _translate_errors():
            connection = wait_for(self._begin(exits))
            try:
                yield connection
            except BaseException as error:
                wait_for(exits.__aexit__(type(error), error, error.__traceback__))
                raise
            wait_for(exits.aclose())

    def ping(self) -> None:
        self.rows("select 1")

    def close(self) -> None:
        wait_for(self._pool.close(timeout=5))

    async def _begin(self, exits: AsyncExitStack) -> Connection:
        await self._open()
        await self._pool.check()
        connection = await exits.enter_async_context(self._pool.connection())
        await exits.enter_async_context(connection.transaction())
        return Connection(connection)

    async def _rows(self, query: str, values: Any) -> list[Row]:
        await self._open()
        try:
            return await self._fetch(query, values)
        except (PoolTimeout, TooManyRequests):
            raise
        except (psycopg.OperationalError, psycopg.InterfaceError):
            await self._pool.check()
            return await self._fetch(query, values)

    async def _fetch(self, query: str, values: Any) -> list[Row]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(query.encode(), values)
            return await cursor.fetchall()

    async def _open(self) -> None:
        """Open the pool at first use, on the event loop that will use it."""
        if self._pool.closed:
            await self._pool.open()


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except _UNAVAILABLE as error:
        raise TransientError("The database cannot be reached.") from error
