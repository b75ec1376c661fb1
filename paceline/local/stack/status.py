"""The status of a running stack: the supervisor's state, the services' heartbeats, lags and ages."""

import time
from typing import Any

import redis

from paceline.adapters.redis.operations import heartbeats, merge_heartbeats
from paceline.domain.operations.readers import READERS
from paceline.local.supervisor import state
from paceline.settings import Settings

_TIMEOUT_S = 2.0


def collect(settings: Settings) -> dict[str, Any]:
    """`healthy` is true if all services of the stack are healthy. Ages in seconds, lags in records."""
    running = state.read(settings.var_dir)
    if running is None:
        return {"healthy": False, "running": False, "services": {}}
    beats = _heartbeats(settings)
    services: dict[str, dict[str, Any]] = running["services"]
    for name, service in services.items():
        if name in beats:
            service["heartbeat"] = beats[name]
    return {
        "healthy": running["healthy"],
        "running": True,
        "supervisor_pid": running["pid"],
        "last_price_age_s": _price_age_s(beats),
        "last_snapshot_age_s": _snapshot_age_s(beats),
        "engine_form": engine_form(beats),
        "consumer_lag": _lags(beats),
        "alerts": beats.get("watchdog", {}).get("alerts", []),
        "services": services,
    }


def _heartbeats(settings: Settings) -> dict[str, dict[str, Any]]:
    try:
        with redis.Redis.from_url(
            settings.cache_url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S
        ) as client:
            return {
                name: merge_heartbeats(beats) for name, beats in heartbeats(client.execute_command).items()
            }
    except redis.RedisError:
        return {}


def _price_age_s(beats: dict[str, dict[str, Any]]) -> float | None:
    last_us = beats.get("feed", {}).get("last_price_us")
    return round(time.time() - last_us / 1e6, 1) if last_us else None


def engine_form(beats: dict[str, dict[str, Any]]) -> str | None:
    """`compiled` or `plain Python`; None while no shard is open."""
    forms = {shard["form"] for shard in beats.get("engine", {}).get("shards", {}).values() if "form" in shard}
    return ", ".join(sorted(forms)) or None


def _snapshot_age_s(beats: dict[str, dict[str, Any]]) -> float | None:
    """The age of the oldest snapshot of all shards."""
    ages = [
        shard["snapshot_age_s"]
        for shard in beats.get("engine", {}).get("shards", {}).values()
        if shard.get("snapshot_age_s") is not None
    ]
    return round(max(ages), 1) if ages else None


def _lags(beats: dict[str, dict[str, Any]]) -> dict[str, int]:
    return {
        name: sum(int(shard.get("lag") or 0) for shard in beats[name].get("shards", {}).values())
        for name in READERS
        if name in beats
    }
