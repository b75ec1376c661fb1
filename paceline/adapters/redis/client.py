"""Clients of Redis: for asyncio, and for requests that wait for their answers."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

import redis
from hiredis import pack_command
from redis.asyncio import Redis
from redis.exceptions import BusyLoadingError, ConnectionError, TimeoutError

from paceline.adapters.runtime.awaiting import wait_for
from paceline.core.errors import TransientError

# The server is away, starts up, or does not answer.
AWAY = (ConnectionError, TimeoutError, BusyLoadingError, OSError)


# A server that is gone without a word is missed within a quarter of a minute.
_KEEPALIVE: Final = {socket.TCP_KEEPIDLE: 5, socket.TCP_KEEPINTVL: 5, socket.TCP_KEEPCNT: 2}

Words = tuple[str | bytes | int, ...]
_packed = cast(Callable[[Words], bytes], pack_command)  # its stub knows commands of one word only


class Client(Redis):
    """A client whose `ask` is the short way to commands: half the CPU time.

    It has connections of its own, as many as tasks asked at once. One of which not every answer was read
    is closed: it would hand the answer to whoever asks next.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._idle: list[Any] = []

    async def ask(self, *commands: Words) -> list[Any]:
        """The answers to commands sent together; raises the first that is an error."""
        connection = self._idle.pop() if self._idle else self._new_connection()
        timeout_s = self.connection_pool.connection_kwargs["socket_timeout"]
        try:
            async with asyncio.timeout(timeout_s):
                await connection.send_packed_command(b"".join(map(_packed, commands)))
                answers = [await connection.read_response() for _ in commands]
        except BaseException as error:
            await connection.disconnect(nowait=True)
            if isinstance(error, ConnectionError):  # whatever befell it has befallen them all
                await self._close_idle(nowait=True)
            if type(error) is asyncio.TimeoutError:
                raise TimeoutError(f"no answer from Redis within {timeout_s} s") from error
            raise
        self._idle.append(connection)
        return answers

    async def published(self, channel: str) -> AsyncIterator[bytes | None]:
        """What is published on a channel from the first item on, which is None. Ends by an error only."""
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
        """There is one timeout around it all: redis-py's own sends within `wait_for`, which costs a task each
        time, and in Python 3.11 can swallow the cancellation that is to stop us.
        """
        pool: Any = self.connection_pool
        return pool.connection_class(**pool.connection_kwargs | {"socket_timeout": None})

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await self._close_idle(nowait=False)
        await super().aclose(close_connection_pool)


def connect(url: str, timeout_s: float = 5) -> Client:
    """A client that makes its connections when they are needed; the caller repeats what failed."""
    client = Client.from_url(
        url,
        socket_connect_timeout=2,
        socket_timeout=timeout_s,
        socket_keepalive=True,
        socket_keepalive_options=_KEEPALIVE,
        retry=None,
    )
    return cast(Client, client)


class HotClient:
    """A client for those who wait for its answers."""

    def __init__(self, url: str, timeout_ms: int) -> None:
        self._client = connect(url, timeout_s=timeout_ms / 1000)

    def ask(self, *words: str | bytes | int) -> Any:
        """The answer to one command."""
        return wait_for(self._ask(words))[0]

    def ask_together(self, *commands: Words) -> list[Any]:
        """The answers to commands between which nobody else's come."""
        answers: list[Any] = wait_for(self._ask(("MULTI",), *commands, ("EXEC",)))[-1]
        return answers

    def published(self, channel: str) -> AsyncIterator[bytes | None]:
        """As `Client.published`, for whoever is on the event loop."""
        return self._client.published(channel)

    def close(self) -> None:
        wait_for(self._client.aclose())

    async def _ask(self, *commands: Words) -> list[Any]:
        with _away():
            try:
                return await self._client.ask(*commands)
            except redis.ConnectionError:  # it may have been a dead one, and connects again
                return await self._client.ask(*commands)


@contextmanager
def _away() -> Iterator[None]:
    try:
        yield
    except AWAY as error:
        raise TransientError("Redis cannot be reached.") from error
