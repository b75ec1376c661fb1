"""Reading heartbeats: what services say of themselves (`health` writes them)."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import redis


def heartbeats(client: redis.Redis) -> dict[str, list[dict[str, Any]]]:
    """By service the heartbeats of its instances. One that has fallen silent is not there."""
    keys = sorted(client.scan_iter("health:*", count=1000))
    values: Any = client.mget(keys) if keys else []
    found: dict[str, list[dict[str, Any]]] = {}
    for key, value in zip(keys, values, strict=True):
        if value is not None:
            found.setdefault(key.decode().split(":")[1], []).append(msgspec.json.decode(value))
    return found


def together(beats: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The instances of a service as one: the newest beat with everybody's shards, each as told last."""
    told = sorted(beats, key=lambda beat: beat.get("at_us") or 0)
    shards: dict[str, Any] = {}
    for beat in told:
        shards |= beat.get("shards", {})
    newest = dict(told[-1]) if told else {}
    return newest | {"shards": shards} if shards else newest
