"""The asyncio client of stream services and API."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from hiredis import pack_command
from redis.asyncio import Redis
from redis.exceptions import BusyLoadingError, ConnectionError, TimeoutError

# The server is away, starts up, or does not answer.
AWAY = (ConnectionError, TimeoutError, BusyLoadingError, OSError)

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
    return cast(Client, Client.from_url(url, socket_connect_timeout=2, socket_timeout=timeout_s, retry=None))
