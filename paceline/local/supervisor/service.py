"""The description of a service that the supervisor runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from paceline.local.servers.server import LocalServer


class ServiceState(StrEnum):
    WAITING = "waiting"  # for what it needs
    STARTING = "starting"
    UP = "up"
    DONE = "done"  # a one-shot service that has succeeded
    UNHEALTHY = "unhealthy"  # runs, but its health check fails
    RESTARTING = "restarting"  # has ended; the next attempt follows after a pause
    STOPPING = "stopping"
    STOPPED = "stopped"


HEALTHY: Final = frozenset({ServiceState.UP, ServiceState.DONE})

# For services that no request waits for, and for the sandbox: under high load, orders, prices and answers go
# first.
LOW_PRIORITY: Final = ("nice", "-n", "5")

# Takes the wall-clock start of the process in µs; returns None if the service is healthy, else the problem.
Probe = Callable[[int], str | None]


@dataclass(frozen=True, kw_only=True)
class Service:
    """A process to keep running, or with `once` to run to its end.

    `stop_phase`: services of phase 0 are stopped first, in parallel, then those of 1, then of 2.
    `ports`: setting → port that must be free before it starts. `first`: it is on the order path.
    """

    name: str
    command: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    once: bool = False
    address: str = ""
    probe: Probe | None = None
    server: LocalServer | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)  # it may hold secrets
    ports: Mapping[str, int] = field(default_factory=dict)
    stop_phase: int = 0
    first: bool = False
    start_timeout_s: float = 90
