"""Airflow as services of the stack: its three components with their environment.

They start one by one, because `airflow standalone` cannot restart a component that died, runs a triggerer
that is not needed, and takes two more ports (8793, 8794), so a second stack could not start.
"""

import hashlib
import hmac
import json
from pathlib import Path

from paceline.local.supervisor import probes
from paceline.local.supervisor.service import LOW_PRIORITY, Service
from paceline.settings import Settings

USER = "admin"
# For every bind host, because this release has known vulnerabilities (SECURITY.md).
HOST = "127.0.0.1"


def home(settings: Settings) -> Path:
    return settings.var_dir.resolve() / "airflow"


def url(settings: Settings) -> str:
    return f"http://{HOST}:{settings.airflow_port}"


def password_file(settings: Settings) -> Path:
    """Where Airflow writes the password that it generates for `admin`."""
    return home(settings) / "simple_auth_manager_passwords.json.generated"


def password(file: Path) -> str | None:
    """The generated password; None until Airflow has started once."""
    try:
        found: dict[str, str] = json.loads(file.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return found.get(USER)


def database_url(settings: Settings) -> str:
    """URL of the database `airflow` on the same server."""
    return settings.database_url_of("airflow").replace("postgresql://", "postgresql+psycopg2://", 1)


def environment(settings: Settings, root: Path) -> dict[str, str]:
    """`root`: the checkout, which contains `dags/`."""
    folder = home(settings)
    return {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__DAGS_FOLDER": str(root / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "3",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url(settings)}/execution/",
        "AIRFLOW__API__BASE_URL": url(settings),
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(settings.airflow_port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": _derived(settings, "airflow-session"),
        "AIRFLOW__API_AUTH__JWT_SECRET": _derived(settings, "airflow-jwt"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database_url(settings),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE": "3",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(folder / "logs"),
        "AIRFLOW__LOGGING__NAMESPACE_LEVELS": "great_expectations=WARNING",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "60",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "False",
        "DO_NOT_TRACK": "1",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "False",
        "GX_ANALYTICS_ENABLED": "False",
        "PYTHONPATH": str(root),
    }


def _derived(settings: Settings, purpose: str) -> str:
    """A separate secret for each purpose, derived from the stored one."""
    return hmac.new(settings.jwt_secret.reveal().encode(), purpose.encode(), hashlib.sha512).hexdigest()


def services(settings: Settings, root: Path, program: Path) -> list[Service]:
    """`program`: the `airflow` executable of the virtual environment."""
    have = environment(settings, root)
    at = url(settings)

    def component(name: str, *arguments: str, health: str) -> Service:
        return Service(
            name=f"airflow-{name}",
            command=(*LOW_PRIORITY, str(program), *arguments),
            needs=("airflow-migrate",),
            environment=have,
            probe=probes.airflow(at, health),
            start_timeout_s=180,
        )

    return [
        Service(
            name="airflow-migrate",
            command=(*LOW_PRIORITY, str(program), "db", "migrate"),
            needs=("postgres", "api"),
            once=True,
            environment=have,
        ),
        Service(
            name="airflow-api",
            command=(*LOW_PRIORITY, str(program), "api-server"),
            needs=("airflow-migrate",),
            environment=have,
            address=at,
            ports={"airflow_port": settings.airflow_port},
            probe=probes.airflow(at, "metadatabase"),
            start_timeout_s=180,
        ),
        component("scheduler", "scheduler", "--skip-serve-logs", health="scheduler"),
        component("dags", "dag-processor", health="dag_processor"),
    ]
