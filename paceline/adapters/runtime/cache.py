"""A cache of values read a short time ago: a repeated read costs no round trip and no wait."""

import asyncio
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Generic, TypeVar

import greenback

from paceline.adapters.runtime.awaiting import wait_for

K = TypeVar("K")
V = TypeVar("V")


class RefreshAheadCache(Generic[K, V]):
    """Values that `read` returned, by key, at most `hard_ttl_s` old. `should_cache` decides which are kept.

    A value older than `soft_ttl_s` is read again in the background, once for all callers: they get the old
    value, or wait if it is too old. For a key that is not kept, each call reads.
    """

    def __init__(
        self,
        read: Callable[[K], V],
        should_cache: Callable[[V], bool],
        *,
        soft_ttl_s: float,
        hard_ttl_s: float,
        max_entries: int = 4096,
    ) -> None:
        self._read = read
        self._should_cache = should_cache
        self._soft_ttl_s = soft_ttl_s
        self._hard_ttl_s = hard_ttl_s
        self._max_entries = max_entries
        self._entries: dict[K, tuple[float, V]] = {}
        self._under_way: dict[K, asyncio.Task[V]] = {}
        self._invalidations = 0

    def get(self, key: K) -> V:
        """The value of a key; raises what `read` raises."""
        if (entry := self._entries.get(key)) is None:
            return self._read_now(key)
        began_s, value = entry
        age_s = monotonic() - began_s
        if age_s < self._soft_ttl_s:
            return value
        renewal = wait_for(self._renewal(key))
        return value if age_s < self._hard_ttl_s else wait_for(_result(renewal))

    def invalidate(self, key: K) -> None:
        """Drop a value, so the next call reads it. A read under way may be older, so it is not kept."""
        self._invalidations += 1
        self._entries.pop(key, None)
        self._under_way.pop(key, None)

    def _read_now(self, key: K) -> V:
        began_s, invalidations = monotonic(), self._invalidations
        value = self._read(key)
        if invalidations == self._invalidations:
            self._entries.pop(key, None)
            if self._should_cache(value):
                if len(self._entries) >= self._max_entries:
                    self._entries.clear()
                self._entries[key] = began_s, value
        return value

    async def _renewal(self, key: K) -> asyncio.Task[V]:
        """The read of this key that is under way; starts one if there is none."""
        renewal = self._under_way.get(key)
        if renewal is None:
            renewal = asyncio.create_task(greenback.with_portal_run_sync(self._read_now, key))
            self._under_way[key] = renewal
            renewal.add_done_callback(partial(self._ended, key))
        return renewal

    def _ended(self, key: K, renewal: asyncio.Task[V]) -> None:
        if self._under_way.get(key) is renewal:
            del self._under_way[key]
        if not renewal.cancelled():
            renewal.exception()  # raised to callers that wait for it; without any, the next call reads again


async def _result(renewal: asyncio.Task[V]) -> V:
    return await asyncio.shield(renewal)
