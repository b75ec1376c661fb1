"""Reads the heartbeats of services (`health` writes them)."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec


def heartbeats(ask: Callable[..., Any]) -> dict[str, list[dict[str, Any]]]:
    """The heartbeats of all instances, by service. An instance that has stopped sending them is missing.

    `ask` sends a command's words to Redis and returns the answer, as `execute_command` does.
    """
    keys = _keys(ask)
    values: Any = ask("MGET", *keys) if keys else []
    found: dict[str, list[dict[str, Any]]] = {}
    for key, value in zip(keys, values, strict=True):
        if value is not None:
            found.setdefault(key.decode().split(":")[1], []).append(msgspec.json.decode(value))
    return found


def _keys(ask: Callable[..., Any]) -> list[bytes]:
    found: set[bytes] = set()
    cursor: Any = 0
    while True:
        cursor, keys = ask("SCAN", cursor, "MATCH", "health:*", "COUNT", 1000)
        found.update(keys)
        if not int(cursor):
            return sorted(found)


def together(beats: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge the instances of a service: the newest beat, with the latest state of every shard."""
    by_time = sorted(beats, key=lambda beat: beat.get("at_us") or 0)
    shards: dict[str, Any] = {}
    for beat in by_time:
        shards |= beat.get("shards", {})
    newest = dict(by_time[-1]) if by_time else {}
    return newest | {"shards": shards} if shards else newest
