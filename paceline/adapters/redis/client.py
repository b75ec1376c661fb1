"""Clients of Redis: for asyncio, and for requests that wait for their answers."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

import redis
from hiredis import pack_command
from redis.asyncio import Redis
from redis.exceptions import BusyLoadingError, ConnectionError, OutOfMemoryError, TimeoutError

from paceline.adapters.runtime.awaiting import wait_for
from paceline.core.errors import TransientError

# The server is unavailable, starts up, does not answer, or has reached `maxmemory` and refuses writes.
UNAVAILABLE_ERRORS = (ConnectionError, TimeoutError, BusyLoadingError, OutOfMemoryError, OSError)


# A server that disappears without closing the connection is noticed within 15 s.
_KEEPALIVE: Final = {socket.TCP_KEEPIDLE: 5, socket.TCP_KEEPINTVL: 5, socket.TCP_KEEPCNT: 2}

CommandWords = tuple[str | bytes | int, ...]
_packed = cast(
    Callable[[CommandWords], bytes], pack_command
)  # its type stub allows only commands of one word


class AsyncRedis(Redis):
    """A client whose `ask` sends commands with half the CPU time.

    `ask` has its own connections, one per task that asks at the same time. A connection with an unread answer
    is closed: the next caller would get that answer.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._idle: list[Any] = []

    async def ask(self, *commands: CommandWords) -> list[Any]:
        """Send commands together and return their answers; raises the first error among them."""
        connection = self._idle.pop() if self._idle else self._new_connection()
        timeout_s = self.connection_pool.connection_kwargs["socket_timeout"]
        try:
            async with asyncio.timeout(timeout_s):
                await connection.send_packed_command(b"".join(map(_packed, commands)))
                answers = [await connection.read_response() for _ in commands]
        except BaseException as error:
            await connection.disconnect(nowait=True)
            if isinstance(error, ConnectionError):  # the others are probably broken too
                await self._close_idle(nowait=True)
            if type(error) is asyncio.TimeoutError:
                raise TimeoutError(f"no answer from Redis within {timeout_s} s") from error
            raise
        self._idle.append(connection)
        return answers

    async def published(self, channel: str) -> AsyncIterator[bytes | None]:
        """Messages published on a channel; the first item is None, once subscribed. Ends only by an error."""
        connection = self._new_connection()
        try:
            async with asyncio.timeout(self.connection_pool.connection_kwargs["socket_timeout"]):
                await connection.send_packed_command(_packed(("SUBSCRIBE", channel)))
                await connection.read_response(push_request=True)
            yield None
            while True:
                _, _, data = await connection.read_response(push_request=True)
                yield data
        finally:
            await connection.disconnect(nowait=True)

    async def _close_idle(self, *, nowait: bool) -> None:
        while self._idle:
            await self._idle.pop().disconnect(nowait=nowait)

    def _new_connection(self) -> Any:
        """A connection without a socket timeout; `ask` has one around the whole call. redis-py's own uses
        `wait_for`, which costs a task per call and in Python 3.11 can swallow a cancellation.
        """
        pool: Any = self.connection_pool
        return pool.connection_class(**pool.connection_kwargs | {"socket_timeout": None})

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await self._close_idle(nowait=False)
        await super().aclose(close_connection_pool)


def connect(url: str, timeout_s: float = 5) -> AsyncRedis:
    """A client that connects when needed; the caller must repeat failed calls."""
    client = AsyncRedis.from_url(
        url,
        socket_connect_timeout=2,
        socket_timeout=timeout_s,
        socket_keepalive=True,
        socket_keepalive_options=_KEEPALIVE,
        retry=None,
    )
    return cast(AsyncRedis, client)


class SyncRedis:
    """A Redis client for synchronous code."""

    def __init__(self, url: str, timeout_ms: int) -> None:
        self._client = connect(url, timeout_s=timeout_ms / 1000)

    def ask(self, *words: str | bytes | int) -> Any:
        """The answer to one command."""
        return wait_for(self._ask(words))[0]

    def ask_together(self, *commands: CommandWords) -> list[Any]:
        """The answers to commands that run as one transaction (MULTI, EXEC)."""
        answers: list[Any] = wait_for(self._ask(("MULTI",), *commands, ("EXEC",)))[-1]
        return answers

    def published(self, channel: str) -> AsyncIterator[bytes | None]:
        """Like `Client.published`; call it on the event loop."""
        return self._client.published(channel)

    def close(self) -> None:
        wait_for(self._client.aclose())

    async def _ask(self, *commands: CommandWords) -> list[Any]:
        with _translate_errors():
            try:
                return await self._client.ask(*commands)
            except redis.ConnectionError:  # the connection may have been broken: try a new one
                return await self._client.ask(*commands)


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except UNAVAILABLE_ERRORS as error:
        raise TransientError("Redis cannot be reached.") from error
