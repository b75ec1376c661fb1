"""The connection of a stream service, which outlives its server's absence."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from paceline.adapters.postgres.connections.connect import Connection, connect
from paceline.adapters.postgres.connections.unavailable import UNAVAILABLE_ERRORS
from paceline.adapters.runtime.retry import retrying

T = TypeVar("T")


class WorkerConnection:
    """A connection made when it is needed and again after it broke. Transactions wait for each other."""

    def __init__(
        self,
        url: str,
        name: str,
        prepare: Callable[[Connection], Awaitable[None]] | None = None,
        patience_s: float = 120.0,
    ) -> None:
        self._url = url
        self._name = name
        self._prepare = prepare
        self._patience_s = patience_s
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()

    async def transaction(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do `work` in one transaction and commit.

        It is repeated from its start, with back-off, while Postgres is unavailable. A commit whose answer was
        lost may have happened: `work` must notice what is already there.
        """

        async def attempt() -> T:
            connection = await self._connected()
            async with connection.transaction():
                return await work(connection)

        async with self._turn:
            return await retrying(
                attempt, on=UNAVAILABLE_ERRORS, what=f"Postgres for {self._name}", patience_s=self._patience_s
            )

    async def _connected(self) -> Connection:
        if self._connection is not None and not self._connection.broken and not self._connection.closed:
            return self._connection
        connection = await connect(self._url, self._name)
        if self._prepare is not None:
            await self._prepare(connection)
        self._connection = connection
        return connection

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
