"""The connection of health checks: anyone may ask how we are, and must not take a connection from trading."""

import asyncio
from typing import Any

import psycopg
from psycopg.rows import dict_row

from paceline.adapters.postgres.connections.pool import Row
from paceline.adapters.postgres.connections.unavailable import UNAVAILABLE_ERRORS, as_transient
from paceline.adapters.runtime.awaiting import wait_for


class HealthConnection:
    """One connection. Those who ask the same while it is being asked share the answer.

    `TransientError` while Postgres cannot be reached, or does not answer in time.
    """

    def __init__(self, url: str, timeout_s: float = 2.0) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._connection: psycopg.AsyncConnection[Row] | None = None
        self._running: dict[tuple[str, Any], asyncio.Task[list[Row]]] = {}
        self._turn: asyncio.Lock | None = None

    def ping(self) -> None:
        self.rows("select 1")

    def rows(self, query: str, values: tuple[Any, ...] = ()) -> list[Row]:
        """All rows of a reading query of public data."""
        with as_transient():
            return wait_for(self._shared(query, values))

    def close(self) -> None:
        wait_for(self._close())

    async def _shared(self, query: str, values: tuple[Any, ...]) -> list[Row]:
        key = query, values
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(self._read(query, values))
            task.add_done_callback(lambda _: self._running.pop(key, None))
        return await asyncio.shield(task)

    async def _read(self, query: str, values: tuple[Any, ...]) -> list[Row]:
        self._turn = self._turn or asyncio.Lock()
        try:
            async with asyncio.timeout(self._timeout_s), self._turn:
                try:
                    return await self._fetched(query, values)
                except UNAVAILABLE_ERRORS:
                    await self._close()  # a dead one: Postgres may have been started again
                    return await self._fetched(query, values)
        except TimeoutError as error:
            await self._close()
            raise psycopg.OperationalError("Postgres does not answer in time.") from error

    async def _fetched(self, query: str, values: tuple[Any, ...]) -> list[Row]:
        if self._connection is None:
            self._connection = await psycopg.AsyncConnection.connect(
                self._url,
                autocommit=True,
                row_factory=dict_row,
                application_name="paceline-health",
                connect_timeout=2,
            )
        cursor = await self._connection.execute(query.encode(), values)
        return await cursor.fetchall()

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
