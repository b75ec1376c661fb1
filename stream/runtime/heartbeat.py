"""Writes the state of each service of this process to Redis every two seconds."""

import os
import socket
import time
from collections.abc import Mapping
from typing import Any, Protocol

import structlog
from mode import Service

from paceline.adapters.redis import operations as health
from paceline.adapters.redis.client import UNAVAILABLE_ERRORS, connect

_log = structlog.get_logger()


class Healthy(Protocol):
    def health(self) -> dict[str, Any]:
        """`state` and all other fields that `paceline status` shows of the service."""


class Heartbeat(Service):  # type: ignore[misc]
    """Publishes the heartbeats; while Redis is unavailable it keeps trying."""

    def __init__(self, cache_url: str, services: Mapping[str, Healthy]) -> None:
        super().__init__()
        self._client = connect(cache_url)
        self._services = services
        self._is_stored = True
        self._instance = f"{socket.gethostname()}-{os.getpid()}"

    @Service.task  # type: ignore[untyped-decorator]
    async def beat(self) -> None:
        while not self.should_stop:
            try:
                for name, service in self._services.items():
                    at_us = time.time_ns() // 1000
                    beat = {"service": name, "pid": os.getpid(), "at_us": at_us, **service.health()}
                    await health.publish(self._client, name, self._instance, beat)
                self._is_stored = True
            except UNAVAILABLE_ERRORS as error:
                if self._is_stored:
                    _log.warning("heartbeat not stored", error=str(error)[:300])
                self._is_stored = False
            await self.sleep(health.EVERY_S)

    async def on_stop(self) -> None:
        await self._client.aclose()
