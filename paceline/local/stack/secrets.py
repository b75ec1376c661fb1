"""The secrets of the one-machine stack: made once, stored in the data folder, readable by its owner only."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Final

from paceline.settings import PREFIX, DatabaseRole, Settings

NAMES = (
    "PACELINE_SUPERUSER_PASSWORD",
    "PACELINE_POSTGRES_PASSWORD",
    "PACELINE_API_DATABASE_PASSWORD",
    "PACELINE_WRITER_DATABASE_PASSWORD",
    "PACELINE_NIGHTLY_DATABASE_PASSWORD",
    "PACELINE_ANALYST_PASSWORD",
    "PACELINE_AIRFLOW_DATABASE_PASSWORD",
    "PACELINE_JWT_SECRET",
)


def ensure(var_dir: Path) -> None:
    """Add the secrets that `secrets.env` lacks; existing ones stay."""
    var_dir.mkdir(parents=True, exist_ok=True)
    path = var_dir / "secrets.env"
    text = path.read_text() if path.is_file() else ""
    known = {line.partition("=")[0].strip() for line in text.splitlines()}
    absent = [name for name in NAMES if name not in known]
    if not absent:
        return
    if text and not text.endswith("\n"):
        text += "\n"
    text += "".join(f"{name}={secrets.token_urlsafe(32)}\n" for name in absent)
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


# What not every service needs. Kafka and Redis have one password each, and nearly all services need them.
_HIDDEN: Final = tuple(
    item.name
    for item in fields(Settings)
    if item.name.endswith(("_database_password", "_database_url"))
    or item.name
    in (
        *("superuser_password", "postgres_password", "analyst_password", "postgres_url"),
        *("jwt_secret", "resend_api_key"),
    )
)
# The role of each service that needs the database. Airflow's tasks and DAG files are the nightly run.
_ROLE: Final[Mapping[str, DatabaseRole]] = {
    "markets": "writer",
    "engine": "writer",
    "writer": "writer",
    "router": "writer",
    "bars": "writer",
    "feed": "writer",
    "api": "api",
    "docs": "analyst",
    "nightly": "nightly",
    "airflow-scheduler": "nightly",
    "airflow-dags": "nightly",
}
_MORE: Final = {"api": ("jwt_secret", "resend_api_key")}


def none() -> dict[str, str]:
    """The environment of a process that gets no secret, wherever else it would find one."""
    return {f"{PREFIX}{name.upper()}": "" for name in _HIDDEN} | {f"{PREFIX}SECRETS_FILE": os.devnull}


def of_service(settings: Settings, service: str) -> dict[str, str]:
    """The secrets that a service gets: those that it needs."""
    found = {f"{PREFIX}{name.upper()}": getattr(settings, name).reveal() for name in _MORE.get(service, ())}
    if role := _ROLE.get(service):
        found[f"{PREFIX}{role.upper()}_DATABASE_URL"] = settings.database_url_of(role)
    if service == "migrate":
        found[f"{PREFIX}POSTGRES_URL"] = settings.database_url
    return found
