"""Answers on their way back: the router publishes each, whoever expects one hears it.

Nothing is kept: an answer that nobody expects is gone, and so are those that come while the connection is
lost. Whoever misses one finds it in the lasting record of answers.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import msgspec

from paceline.adapters.redis import keys
from paceline.adapters.redis.client import AWAY, HotClient
from paceline.adapters.runtime.awaiting import wait_for
from paceline.core.errors import TransientError
from paceline.ports.trading import Answer, Wait

PENDING_S: Final = 24 * 3600
_log = logging.getLogger("paceline.replies")
_answer = msgspec.json.Decoder(Answer)

# None where the connection was lost before the answer came.
_Heard = asyncio.Future[Answer | None]


class RedisReplies:
    """Listens on one connection from the first time that an answer is expected."""

    def __init__(self, client: HotClient) -> None:
        self._client = client
        self._expected: dict[tuple[str, str], list[_Heard]] = {}
        self._listening: asyncio.Task[None] | None = None
        self._subscribed: asyncio.Future[None] | None = None  # also done when that failed

    @contextmanager
    def expect(self, account: str, instruction: str) -> Iterator[Wait]:
        heard = wait_for(self._expect(account, instruction))
        try:
            yield lambda timeout_ms: wait_for(_answer_of(heard, timeout_ms / 1000))
        finally:
            if not heard.done():
                wait_for(self._forget(account, instruction, heard))

    def remember_pending(self, account: str, instruction: str) -> None:
        self._client.ask("SET", keys.pending(account, instruction), b"1", "EX", PENDING_S)

    def is_pending(self, account: str, instruction: str) -> bool:
        return bool(self._client.ask("EXISTS", keys.pending(account, instruction)))

    def close(self) -> None:
        wait_for(self._close())

    async def _expect(self, account: str, instruction: str) -> _Heard:
        loop = asyncio.get_running_loop()
        if self._listening is None or self._listening.done():
            self._subscribed = loop.create_future()
            self._listening = loop.create_task(self._listen(self._subscribed))
        heard: _Heard = loop.create_future()
        self._expected.setdefault((account, instruction), []).append(heard)
        if self._subscribed is not None and not self._subscribed.done():
            await asyncio.wait((self._subscribed,))
        return heard

    async def _forget(self, account: str, instruction: str, heard: _Heard) -> None:
        waiting = self._expected.get((account, instruction), [])
        if heard in waiting:
            waiting.remove(heard)
        if not waiting:
            self._expected.pop((account, instruction), None)

    async def _listen(self, subscribed: asyncio.Future[None]) -> None:
        try:
            async for text in self._client.published(keys.REPLIES):
                if text is None:
                    subscribed.set_result(None)
                else:
                    self._give(text)
        except AWAY:
            pass  # who waits is told below, and who comes next connects again
        finally:
            if not subscribed.done():
                subscribed.set_result(None)
            expected, self._expected = self._expected, {}
            for waiting in expected.values():
                _tell(waiting, None)

    def _give(self, text: bytes) -> None:
        try:
            answer = _answer.decode(text)
        except msgspec.DecodeError:
            _log.warning("not an answer: %r", text[:200])
            return
        _tell(self._expected.pop((answer.account, answer.instruction), []), answer)

    async def _close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening


def _tell(waiting: list[_Heard], answer: Answer | None) -> None:
    for heard in waiting:
        if not heard.done():
            heard.set_result(answer)


async def _answer_of(heard: _Heard, timeout_s: float) -> Answer | None:
    await asyncio.wait((heard,), timeout=timeout_s)
    if not heard.done():
        return None
    answer = heard.result()
    if answer is None:
        raise TransientError("Redis was lost before the answer came.")
    return answer
