"""Liveness of the API, and readiness of its dependencies."""

import time
from collections.abc import Callable
from typing import Any, Final, Literal

from flask import Blueprint, Response
from msgspec import Struct
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from api.health.metrics import prometheus_text
from api.http.context import platform
from api.http.endpoint import Spec, endpoint
from paceline.core.errors import TransientError
from paceline.ports.operations import Alert

blueprint = Blueprint("health", __name__)

# Without these no request can be answered. Without Redis requests are answered, but slower.
_REQUIRED: Final = ("postgres", "kafka")
_ALERTS_SHOWN: Final = 50


class Dependency(Struct, frozen=True):
    state: Literal["up", "down"]
    needed: bool
    duration_ms: float


class Live(Struct, frozen=True):
    live: bool = True


class Health(Struct, frozen=True, kw_only=True):
    """`degraded`: requests are answered, but slower because Redis is unavailable, or an alert is open."""

    live: bool
    ready: bool
    status: Literal["ok", "degraded", "unavailable"]
    dependencies: dict[str, Dependency]
    alerts: list[Alert]


_EXAMPLE: Final[dict[str, Any]] = {
    "live": True,
    "ready": True,
    "status": "ok",
    "dependencies": {
        "postgres": {"state": "up", "needed": True, "duration_ms": 0.6},
        "kafka": {"state": "up", "needed": True, "duration_ms": 0.2},
        "redis": {"state": "up", "needed": False, "duration_ms": 0.3},
    },
    "alerts": [],
}
_READY: Final = Spec(
    summary="Live, and ready with its dependencies",
    data=Health,
    example=_EXAMPLE,
    signed_in=False,
    errors=(503,),
)


@blueprint.get("/health")
@endpoint(_READY)
def health() -> Health:
    return _health()


@blueprint.get("/health/ready")
@endpoint(_READY)
def ready() -> Health:
    return _health()


@blueprint.get("/health/live")
@endpoint(Spec(summary="Live", data=Live, example={"live": True}, signed_in=False))
def live() -> Live:
    return Live()


@blueprint.get("/metrics")
def metrics() -> Response:
    """Prometheus' text format, not JSON: it has no envelope and is not in the OpenAPI document."""
    up = {name: _check(name, ping).state == "up" for name, ping in platform().pings.items()}
    try:
        beats = platform().heartbeats()
    except TransientError:
        beats = {}  # no heartbeats without Redis; `paceline_dependency_up` reports that
    text = prometheus_text(beats, _alerts(), up, platform().gateway.now_us())
    return Response(text, content_type=CONTENT_TYPE_PLAIN_0_0_4)


def _health() -> Health:
    dependencies = {name: _check(name, ping) for name, ping in platform().pings.items()}
    missing = [name for name, dependency in dependencies.items() if dependency.state == "down"]
    if any(dependencies[name].needed for name in missing):
        raise TransientError(
            f"The API is not ready: {', '.join(missing)} cannot be reached. Try again later.",
            code="NOT_READY",
            details={"live": True, "ready": False, "status": "unavailable", "dependencies": dependencies},
            retry_after_s=5,
        )
    alerts = _alerts()
    status: Literal["ok", "degraded"] = "degraded" if missing or alerts else "ok"
    return Health(live=True, ready=True, status=status, dependencies=dependencies, alerts=alerts)


def _alerts() -> list[Alert]:
    try:
        return platform().control.open_alerts(_ALERTS_SHOWN)
    except TransientError:
        return []  # Postgres failed after its check: the next check reports it


def _check(name: str, ping: Callable[[], None]) -> Dependency:
    began_s = time.perf_counter()
    try:
        ping()
        state: Literal["up", "down"] = "up"
    except TransientError:
        state = "down"
    return Dependency(state, name in _REQUIRED, round((time.perf_counter() - began_s) * 1000, 1))
