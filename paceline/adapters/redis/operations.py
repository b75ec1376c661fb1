"""Heartbeats of services: each says how it is; Redis drops a heartbeat ten seconds after the last one."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from paceline.adapters.redis import keys
from paceline.adapters.redis.client import SyncRedis, connect
from paceline.core.errors import TransientError

EVERY_S: Final = 2.0
_KEPT_S: Final = 10


async def publish(client: Redis, service: str, instance: str, beat: Mapping[str, Any]) -> None:
    """Store the heartbeat of one instance. Several workers may run a service and share its shards."""
    await client.set(keys.health(service, instance), msgspec.json.encode(beat), ex=_KEPT_S)


def heartbeats(ask: Callable[..., Any]) -> dict[str, list[dict[str, Any]]]:
    """The heartbeats of all instances, by service. An instance that has stopped sending them is missing.

    `ask` sends a command's words to Redis and returns the answer, as `execute_command` does.
    """
    names = _keys(ask)
    values: Any = ask("MGET", *names) if names else []
    found: dict[str, list[dict[str, Any]]] = {}
    for key, value in zip(names, values, strict=True):
        if value is not None:
            found.setdefault(keys.service_of_health(key), []).append(msgspec.json.decode(value))
    return found


def _keys(ask: Callable[..., Any]) -> list[bytes]:
    found: set[bytes] = set()
    cursor: Any = 0
    while True:
        cursor, names = ask("SCAN", cursor, "MATCH", keys.HEALTH_PATTERN, "COUNT", 1000)
        found.update(names)
        if not int(cursor):
            return sorted(found)


def merge_heartbeats(beats: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge the instances of a service: the newest beat, with the latest state of every shard."""
    by_time = sorted(beats, key=lambda beat: beat.get("at_us") or 0)
    shards: dict[str, Any] = {}
    for beat in by_time:
        shards |= beat.get("shards", {})
    newest = dict(by_time[-1]) if by_time else {}
    return newest | {"shards": shards} if shards else newest


class RedisLiveSigns:
    """The readers' heartbeats and the feed's last prices, for the watchdog."""

    def __init__(self, url: str) -> None:
        self._redis = connect(url)

    async def offsets(self, reader: str) -> dict[int, int]:
        with _translate_errors():
            names = [key async for key in self._redis.scan_iter(keys.health(reader, "*"), count=1000)]
            beats: list[Any] = await self._redis.mget(names) if names else []
        found: dict[int, int] = {}
        for beat in filter(None, beats):
            for shard, view in msgspec.json.decode(beat).get("shards", {}).items():
                found[int(shard)] = max(view["next_offset"], found.get(int(shard), 0))
        return found

    async def price_times_us(self, symbols: Iterable[str]) -> dict[str, int | None]:
        with _translate_errors():
            stamps = {symbol: await self._redis.hget(keys.price(symbol), "time_us") for symbol in symbols}
        return {symbol: None if stamp is None else int(stamp) for symbol, stamp in stamps.items()}

    async def close(self) -> None:
        await self._redis.aclose()


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise TransientError(f"Redis cannot be reached: {error}") from error


def ping(client: SyncRedis) -> None:
    """`TransientError` when Redis cannot be reached."""
    client.ask("PING")


def all_heartbeats(client: SyncRedis) -> dict[str, list[dict[str, Any]]]:
    """By service the heartbeats of its instances; `TransientError` when Redis cannot be reached."""
    return heartbeats(client.ask)
