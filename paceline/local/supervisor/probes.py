"""Health checks of a running service. Each returns None if the service is healthy, else the problem."""

import socket
import time
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

import msgspec
import redis

from paceline.adapters.redis.operations import heartbeats
from paceline.local.supervisor.service import Probe

_TIMEOUT_S = 2.0
_GOOD_STATES = ("ok", "running")


def listens(host: str, port: int) -> Probe:
    def check(started_us: int) -> str | None:
        try:
            socket.create_connection((host, port), timeout=_TIMEOUT_S).close()
        except OSError:
            return f"nothing listens on port {port}"
        return None

    return check


def answers(url: str) -> Probe:
    """GET must succeed."""

    def check(started_us: int) -> str | None:
        try:
            _get(url)
        except HTTPError as error:
            return f"{url} answers {error.code}"
        except (OSError, HTTPException) as error:
            return f"{url} does not answer ({type(error).__name__})"
        return None

    return check


def _get(url: str) -> bytes:
    """The body of a successful answer, without a proxy. (Importing httpx takes a third of a second.)"""
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=_TIMEOUT_S) as answer:
            return bytes(answer.read())
    except HTTPError as error:
        error.close()
        raise


def beats(cache_url: str, name: str) -> Probe:
    """The service's heartbeat in Redis must be newer than the process start and report a good state."""
    client = redis.Redis.from_url(cache_url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)

    def check(started_us: int) -> str | None:
        try:
            found = heartbeats(client.execute_command).get(name, [])
        except redis.RedisError:
            return "Redis does not answer, so there is no heartbeat"
        own = [beat for beat in found if (beat.get("at_us") or 0) >= started_us]
        if not own:
            return "no heartbeat yet" if time.time_ns() // 1000 - started_us < 30_000_000 else "no heartbeat"
        bad = [beat for beat in own if beat.get("state") not in _GOOD_STATES]
        return str(bad[0].get("reason") or bad[0].get("state")) if bad else None

    return check


def airflow(url: str, component: str) -> Probe:
    """A component of Airflow, as Airflow's health page reports it."""

    def check(started_us: int) -> str | None:
        try:
            state = msgspec.json.decode(_get(f"{url}/api/v2/monitor/health"))[component]["status"]
        except (OSError, HTTPException, ValueError, KeyError):
            return "Airflow's API server does not answer"
        return None if state == "healthy" else f"Airflow reports it as {state or 'missing'}"

    return check
