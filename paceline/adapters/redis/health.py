"""Heartbeats: what a service says of itself, gone ten seconds after it falls silent."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

EVERY_S: Final = 2.0
_KEPT_S: Final = 10


async def publish(client: Redis, service: str, instance: str, beat: Mapping[str, Any]) -> None:
    """Several workers may run a service and share its shards: each tells of itself."""
    await client.set(f"health:{service}:{instance}", msgspec.json.encode(beat), ex=_KEPT_S)
