"""Receives the answers that the router publishes, and hands each to the request that waits for it.

Answers are not stored here: one that no request expects is dropped, and those published while the connection
is lost are missed. `engine.instructions` in Postgres holds them all.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import msgspec

from paceline.adapters.redis import keys
from paceline.adapters.redis.client import UNAVAILABLE_ERRORS, SyncRedis
from paceline.adapters.runtime.awaiting import wait_for
from paceline.core.errors import TransientError
from paceline.ports.trading import Answer, Wait

PENDING_S: Final = 24 * 3600
_log = logging.getLogger("paceline.replies")


class _Published(Answer, frozen=True, kw_only=True):
    """As the router publishes it; `stamped` is the `time` of the instruction, µs."""

    stamped: int


_published = msgspec.json.Decoder(_Published)
# Account, id and `time` of an instruction.
_Name = tuple[str, str, int]

_ANSWER_FIELDS: Final = Answer.__struct_fields__

# None if the connection was lost before the answer came.
_Reply = asyncio.Future[Answer | None]


class RedisReplies:
    """Listens on one connection, from the first expected answer on."""

    def __init__(self, client: SyncRedis) -> None:
        self._client = client
        self._expected: dict[_Name, list[_Reply]] = {}
        self._listening: asyncio.Task[None] | None = None
        self._subscribed: asyncio.Future[None] | None = None  # also done when that failed

    @contextmanager
    def expect(self, account: str, instruction: str, stamped_us: int) -> Iterator[Wait]:
        name = (account, instruction, stamped_us)
        reply = wait_for(self._expect(name))
        try:
            yield lambda timeout_ms: wait_for(_await_answer(reply, timeout_ms / 1000))
        finally:
            if not reply.done():
                wait_for(self._forget(name, reply))

    def remember_pending(self, account: str, instruction: str) -> None:
        self._client.ask("SET", keys.pending(account, instruction), b"1", "EX", PENDING_S)

    def is_pending(self, account: str, instruction: str) -> bool:
        return bool(self._client.ask("EXISTS", keys.pending(account, instruction)))

    def close(self) -> None:
        wait_for(self._close())

    async def _expect(self, name: _Name) -> _Reply:
        loop = asyncio.get_running_loop()
        if self._listening is None or self._listening.done():
            self._subscribed = loop.create_future()
            self._listening = loop.create_task(self._listen(self._subscribed))
        reply: _Reply = loop.create_future()
        self._expected.setdefault(name, []).append(reply)
        if self._subscribed is not None and not self._subscribed.done():
            await asyncio.wait((self._subscribed,))
        return reply

    async def _forget(self, name: _Name, reply: _Reply) -> None:
        waiting = self._expected.get(name, [])
        if reply in waiting:
            waiting.remove(reply)
        if not waiting:
            self._expected.pop(name, None)

    async def _listen(self, subscribed: asyncio.Future[None]) -> None:
        try:
            async for text in self._client.published(keys.REPLIES):
                if text is None:
                    subscribed.set_result(None)
                else:
                    self._deliver(text)
        except UNAVAILABLE_ERRORS:
            pass  # waiting requests get None below; the next request connects again
        finally:
            if not subscribed.done():
                subscribed.set_result(None)
            expected, self._expected = self._expected, {}
            for waiting in expected.values():
                _resolve(waiting, None)

    def _deliver(self, text: bytes) -> None:
        try:
            published = _published.decode(text)
        except msgspec.DecodeError:
            _log.warning("message is not an answer: %r", text[:200])
            return
        name = (published.account, published.instruction, published.stamped)
        waiting = self._expected.pop(name, [])
        if waiting:
            _resolve(waiting, Answer(**{field: getattr(published, field) for field in _ANSWER_FIELDS}))

    async def _close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening


def _resolve(waiting: list[_Reply], answer: Answer | None) -> None:
    for reply in waiting:
        if not reply.done():
            reply.set_result(answer)


async def _await_answer(reply: _Reply, timeout_s: float) -> Answer | None:
    await asyncio.wait((reply,), timeout=timeout_s)
    if not reply.done():
        return None
    answer = reply.result()
    if answer is None:
        raise TransientError("The connection to Redis is lost before the answer has come.")
    return answer
