"""Writes the heartbeat of a service; Redis drops it ten seconds after the last one."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

EVERY_S: Final = 2.0
_KEPT_S: Final = 10


async def publish(client: Redis, service: str, instance: str, beat: Mapping[str, Any]) -> None:
    """Publish the heartbeat of one instance; several workers may run a service and share its shards."""
    await client.set(f"health:{service}:{instance}", msgspec.json.encode(beat), ex=_KEPT_S)
