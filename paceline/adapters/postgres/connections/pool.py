"""Connections to Postgres for requests.

The role `api` sees a member's rows only if the transaction names the account (row-level security): `Pool.of`
and `Pool.of_operator` do. What `Pool` itself reads is public: markets, the leaderboard.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, Final

import psycopg
from msgspec import Struct
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from paceline.adapters.postgres.connections.unavailable import (
    POOL_EXHAUSTED,
    UNAVAILABLE_ERRORS,
    as_transient,
)
from paceline.adapters.runtime.awaiting import wait_for

Row = dict[str, Any]
Statement = tuple[str, Any]
_Raw = psycopg.AsyncConnection[Row]

_SET: Final = b"select set_config(%s, %s, true)"
_SNAPSHOT: Final = b"begin isolation level repeatable read read only"


class Result(Struct):
    """The result of a statement: its rows, or how many it changed."""

    rows: list[Row]
    changed: int

    @property
    def row(self) -> Row | None:
        return self.rows[0] if self.rows else None


class Transaction:
    """Statements of one transaction."""

    def __init__(self, connection: _Raw) -> None:
        self._connection = connection

    def execute(self, query: str, values: Any = None) -> Result:
        return wait_for(self._execute(query, values))

    async def _execute(self, query: str, values: Any) -> Result:
        cursor = await self._connection.execute(query.encode(), values)
        return Result(await cursor.fetchall() if cursor.description else [], cursor.rowcount)


class Scope:
    """What a request may see: `setting` holds for each of its transactions and for no longer.

    Everything raises `TransientError` while Postgres cannot be reached or is too busy. A read is repeated
    once if its connection was dead.
    """

    def __init__(self, pool: "AsyncConnectionPool[_Raw]", setting: tuple[str, str] | None) -> None:
        self._pool = pool
        self._setting = setting

    def rows(self, query: str, values: Any = None) -> list[Row]:
        """All rows of one reading query, in one round trip."""
        with as_transient():
            return wait_for(self._read(b"begin", [(query, values)]))[0]

    def row(self, query: str, values: Any = None) -> Row | None:
        """The first row of one reading query."""
        return next(iter(self.rows(query, values)), None)

    def snapshot(self, *statements: Statement) -> list[list[Row]]:
        """The rows of several reading queries, which all see the same moment, in one round trip."""
        with as_transient():
            return wait_for(self._read(_SNAPSHOT, statements))

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A connection in a transaction. It may have happened even if the commit fails."""
        whole = AsyncExitStack()
        with as_transient():
            connection = wait_for(self._begin(whole))
            try:
                yield connection
            except BaseException as error:
                wait_for(whole.__aexit__(type(error), error, error.__traceback__))
                raise
            wait_for(whole.aclose())

    async def _read(self, begin: bytes, statements: Sequence[Statement]) -> list[list[Row]]:
        await self._open()
        try:
            return await self._fetched(begin, statements)
        except POOL_EXHAUSTED:
            raise
        except UNAVAILABLE_ERRORS:
            await self._pool.check()
            return await self._fetched(begin, statements)

    async def _fetched(self, begin: bytes, statements: Sequence[Statement]) -> list[list[Row]]:
        async with self._pool.connection() as connection:
            if self._setting is None and len(statements) == 1:
                query, values = statements[0]
                return [await (await connection.execute(query.encode(), values)).fetchall()]
            async with _ended(connection), connection.pipeline():
                await self._start(connection, begin)
                cursors = [await connection.execute(query.encode(), values) for query, values in statements]
                await connection.execute(b"commit")
            return [await cursor.fetchall() for cursor in cursors]

    async def _begin(self, whole: AsyncExitStack) -> Transaction:
        await self._open()
        try:
            return await self._begun(whole)
        except POOL_EXHAUSTED:
            raise
        except UNAVAILABLE_ERRORS as error:
            await whole.__aexit__(type(error), error, error.__traceback__)
            await self._pool.check()
            return await self._begun(whole)

    async def _begun(self, whole: AsyncExitStack) -> Transaction:
        connection = await whole.enter_async_context(self._pool.connection())
        await whole.enter_async_context(_ended(connection, commit=True))
        async with connection.pipeline():
            await self._start(connection, b"begin")
        return Transaction(connection)

    async def _start(self, connection: _Raw, begin: bytes) -> None:
        await connection.execute(begin)
        if self._setting is not None:
            await connection.execute(_SET, self._setting)

    async def _open(self) -> None:
        """A pool opens on the event loop on which it will work."""
        if self._pool.closed:
            await self._pool.open()


class Pool(Scope):
    """Bounded. It is a scope itself: that of what is public."""

    def __init__(
        self, url: str, connections: int, timeout_s: float = 2.0, name: str = "paceline-api"
    ) -> None:
        pool: AsyncConnectionPool[_Raw] = AsyncConnectionPool(
            url,
            min_size=1,
            max_size=connections,
            timeout=timeout_s,
            max_waiting=4 * connections,
            kwargs={
                "autocommit": True,
                "row_factory": dict_row,
                "application_name": name,
                "connect_timeout": 2,
            },
            name=name,
            open=False,
        )
        super().__init__(pool, None)

    def of(self, account: str) -> Scope:
        """The rows of a member: those of their account, and of the accounts below it (`account/…`)."""
        return Scope(self._pool, ("paceline.account", account.partition("/")[0]))

    def of_operator(self) -> Scope:
        """The rows of all members, for what operators do."""
        return Scope(self._pool, ("paceline.operator", "on"))

    def close(self) -> None:
        wait_for(self._pool.close(timeout=5))


@asynccontextmanager
async def _ended(connection: _Raw, *, commit: bool = False) -> AsyncIterator[None]:
    """Leaves no transaction open behind it: the setting of one request must not reach the next."""
    try:
        yield
        if commit:
            await connection.execute(b"commit")
    finally:
        if connection.info.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
            await connection.rollback()
