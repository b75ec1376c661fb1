"""The services of the one-machine stack. `paceline up` runs this list, docker-compose.yml mirrors it."""

import sys
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from paceline.core.errors import ValidationError
from paceline.local.processes.scheduling import real_time_services
from paceline.local.servers.kafka import LocalKafka
from paceline.local.servers.postgres import LocalPostgres
from paceline.local.servers.redis import LocalRedis
from paceline.local.servers.server import LocalServer
from paceline.local.stack import airflow, secrets
from paceline.local.supervisor import probes
from paceline.local.supervisor.service import LOW_PRIORITY, Service
from paceline.settings import DATABASE_ROLES, Settings

ROOT: Final = Path(__file__).resolve().parents[3]
BIN: Final = Path(sys.executable).parent

# Arguments of `paceline` for each service of ours.
COMMANDS: Final[dict[str, tuple[str, ...]]] = {
    "migrate": ("migrate",),
    "topics": ("topics",),
    "markets": ("markets",),
    "exchange": ("sandbox", "exchange"),
    "mailbox": ("sandbox", "mailbox"),
    "engine": ("stream", "engine"),
    "writer": ("stream", "writer"),
    "router": ("stream", "router,watchdog"),  # the watchdog is too small for a process of its own
    "bars": ("stream", "bars"),
    "feed": ("stream", "feed"),
    "api": ("api",),
    "docs": ("docs",),
    "traders": ("sandbox", "traders"),
    "nightly": ("sandbox", "nightly"),
}


@dataclass(frozen=True, kw_only=True)
class UpOptions:
    """Options of `paceline up`: services to leave out, and arguments for the sandbox exchange."""

    without: Collection[str] = ()
    exchange_arguments: tuple[str, ...] = ()


def services(settings: Settings, options: UpOptions) -> list[Service]:
    """All services to run, in the order in which they start."""
    everything = [
        *_servers(settings),
        *_once(),
        *_sandbox(settings, options),
        *_stream(settings),
        *_front(settings),
        *airflow.services(settings, ROOT, BIN / "airflow"),
        *_demo(settings),
    ]
    absent = _absent(settings, options, {service.name for service in everything})
    kept = [service for service in everything if service.name not in absent]
    names = {service.name for service in kept}
    first = real_time_services(settings)
    return [
        replace(
            service,
            needs=tuple(name for name in service.needs if name in names),
            first=service.name in first,
            environment={**service.environment, **secrets.of_service(settings, service.name)},
        )
        for service in kept
    ]


def _absent(settings: Settings, options: UpOptions, known: set[str]) -> set[str]:
    """Services that are left out by request, that have no use without those, or that a setting replaces."""
    groups = {"airflow": {name for name in known if name.startswith("airflow")} | {"nightly"}}
    absent: set[str] = set()
    for name in options.without:
        if name not in known | groups.keys():
            raise ValidationError(
                f"--without {name}: there is no such service. The services are {sorted(known)}."
            )
        absent |= groups.get(name, {name})
    replaced = {
        "postgres": settings.postgres_url,
        "redis": settings.redis_url,
        "kafka": settings.kafka_bootstrap,
        "exchange": settings.feed_url,
        "mailbox": settings.resend_url,
        "traders": settings.demo_traders == 0,
    }
    return absent | {name for name, instead in replaced.items() if instead}


def local_servers(settings: Settings) -> list[LocalServer]:
    folder = settings.var_dir.resolve()
    return [
        LocalPostgres(
            folder / "postgres",
            settings.postgres_port,
            password=settings.postgres_password.reveal(),
            superuser_password=settings.superuser_password.reveal(),
            passwords={role: settings.password_of(role).reveal() for role in DATABASE_ROLES},
        ),
        LocalRedis(folder / "redis", settings.redis_port),
        LocalKafka(folder / "kafka", settings.kafka_port, controller_port=settings.kafka_controller_port),
    ]


def _servers(settings: Settings) -> list[Service]:
    return [
        Service(
            name=server.name,
            server=server,
            address=f"127.0.0.1:{server.port}",
            ports=server.ports,
            stop_phase=2,
        )
        for server in local_servers(settings)
    ]


def _paceline(name: str, *more: str) -> tuple[str, ...]:
    return (str(BIN / "paceline"), *COMMANDS[name], *more)


def _once() -> list[Service]:
    return [
        Service(name="migrate", command=_paceline("migrate"), needs=("postgres",), once=True),
        Service(name="topics", command=_paceline("topics"), needs=("kafka",), once=True),
        Service(
            name="markets", command=_paceline("markets"), needs=("migrate", "topics", "redis"), once=True
        ),
    ]


def _sandbox(settings: Settings, options: UpOptions) -> list[Service]:
    return [
        Service(
            name="exchange",
            command=(*LOW_PRIORITY, *_paceline("exchange", *options.exchange_arguments)),
            needs=("kafka", "postgres"),
            address=f"ws://127.0.0.1:{settings.exchange_port}",
            ports={"exchange_port": settings.exchange_port},
            probe=probes.listens("127.0.0.1", settings.exchange_port),
        ),
        Service(
            name="mailbox",
            command=(*LOW_PRIORITY, *_paceline("mailbox")),
            needs=("kafka", "postgres"),
            address=f"http://127.0.0.1:{settings.mailbox_port}",
            ports={"mailbox_port": settings.mailbox_port},
            probe=probes.listens("127.0.0.1", settings.mailbox_port),
        ),
    ]


def _stream(settings: Settings) -> list[Service]:
    needs = {"feed": ("markets", "exchange")}
    return [
        Service(
            name=name,
            command=(*LOW_PRIORITY, *_paceline(name)) if name in ("writer", "bars") else _paceline(name),
            needs=needs.get(name, ("markets",)),
            probe=probes.beats(settings.cache_url, name),
            stop_phase=0 if name == "feed" else 1,
        )
        for name in ("engine", "writer", "router", "bars", "feed")
    ]


def _front(settings: Settings) -> list[Service]:
    host = "127.0.0.1" if settings.bind_host == "0.0.0.0" else settings.bind_host  # noqa: S104 - compared, not bound
    api, docs = f"http://{host}:{settings.api_port}", f"http://{host}:{settings.docs_port}"
    return [
        Service(
            name="api",
            command=_paceline("api"),
            needs=("engine", "router", "writer"),
            address=f"{api}/api/v1/docs",
            ports={"api_port": settings.api_port},
            probe=probes.answers(f"{api}/health/ready"),
        ),
        Service(
            name="docs",
            command=(*LOW_PRIORITY, *_paceline("docs")),
            needs=("api",),
            address=docs,
            ports={"docs_port": settings.docs_port},
            probe=probes.answers(docs),
        ),
    ]


def _demo(settings: Settings) -> list[Service]:
    """Demo services, which use the public interfaces only."""
    return [
        Service(
            name="traders", command=(*LOW_PRIORITY, *_paceline("traders")), needs=("api", "feed", "mailbox")
        ),
        Service(
            name="nightly",
            command=(*LOW_PRIORITY, *_paceline("nightly")),
            needs=("airflow-scheduler", "airflow-dags"),
        ),
    ]
