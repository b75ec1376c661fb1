"""What was read a short while ago, for those who ask often: asking again costs no round trip and no wait."""

import asyncio
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Generic, TypeVar

import greenback

from paceline.adapters.runtime.awaiting import wait_for

K = TypeVar("K")
V = TypeVar("V")


class Kept(Generic[K, V]):
    """What `read` gave for a key, at most `longest_s` old, where it was `worth` keeping.

    One older than `fresh_s` is read anew beside, once for all who ask meanwhile: they get the old one, or
    wait when that is too old. Of what is not kept each asking is a reading of its own.
    """

    def __init__(
        self,
        read: Callable[[K], V],
        worth: Callable[[V], bool],
        *,
        fresh_s: float,
        longest_s: float,
        most: int = 4096,
    ) -> None:
        self._read = read
        self._worth = worth
        self._fresh_s = fresh_s
        self._longest_s = longest_s
        self._most = most
        self._known: dict[K, tuple[float, V]] = {}
        self._under_way: dict[K, asyncio.Task[V]] = {}
        self._forgotten = 0

    def get(self, key: K) -> V:
        """The value of a key; raises what reading it raises."""
        if (known := self._known.get(key)) is None:
            return self._anew(key)
        began_s, value = known
        age_s = monotonic() - began_s
        if age_s < self._fresh_s:
            return value
        renewal = wait_for(self._renewal(key))
        return value if age_s < self._longest_s else wait_for(_result(renewal))

    def forget(self, key: K) -> None:
        """Read it when it is asked for again. What is being read now may be older, and is not kept."""
        self._forgotten += 1
        self._known.pop(key, None)
        self._under_way.pop(key, None)

    def _anew(self, key: K) -> V:
        began_s, forgotten = monotonic(), self._forgotten
        value = self._read(key)
        if forgotten == self._forgotten:
            self._known.pop(key, None)
            if self._worth(value):
                if len(self._known) >= self._most:
                    self._known.clear()
                self._known[key] = began_s, value
        return value

    async def _renewal(self, key: K) -> asyncio.Task[V]:
        """The one reading of this key that is under way, begun here if there is none."""
        renewal = self._under_way.get(key)
        if renewal is None:
            renewal = asyncio.create_task(greenback.with_portal_run_sync(self._anew, key))
            self._under_way[key] = renewal
            renewal.add_done_callback(partial(self._ended, key))
        return renewal

    def _ended(self, key: K, renewal: asyncio.Task[V]) -> None:
        if self._under_way.get(key) is renewal:
            del self._under_way[key]
        if not renewal.cancelled():
            renewal.exception()  # told to who waits for it; without anybody the next asking tries again


async def _result(renewal: asyncio.Task[V]) -> V:
    return await asyncio.shield(renewal)
