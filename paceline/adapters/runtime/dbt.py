"""The path of the dbt project, its environment, and how to run it without Airflow."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from psycopg.conninfo import conninfo_to_dict

import paceline

PROJECT: Final = Path(paceline.__file__).resolve().parent.parent / "dbt"
_TIMEOUT_S: Final = 1800


def dbt_environment(database_url: str) -> dict[str, str]:
    """The variables that `profiles.yml` reads. dbt's unit tests are left out of nightly runs."""
    parts = conninfo_to_dict(database_url)
    return {
        "DBT_HOST": str(parts.get("host", "127.0.0.1")),
        "DBT_PORT": str(parts.get("port", 5432)),
        "DBT_USER": str(parts.get("user", "paceline")),
        "DBT_PASSWORD": str(parts.get("password", "")),
        "DBT_DBNAME": str(parts.get("dbname", "paceline")),
        "DBT_SSLMODE": str(parts.get("sslmode", "prefer")),
        "DBT_SSLROOTCERT": str(parts.get("sslrootcert", "")),
        "DBT_SSLCERT": str(parts.get("sslcert", "")),
        "DBT_SSLKEY": str(parts.get("sslkey", "")),
        "DBT_EXCLUDE_RESOURCE_TYPES": "unit_test",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }


def run_dbt(environment: Mapping[str, str], *arguments: str) -> bool:
    """Run a dbt command on the project, with its output to ours; true if it succeeds."""
    command = [sys.executable, "-c", "from dbt.cli.main import cli; cli()", *arguments]
    folders = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    done = subprocess.run(
        [*command, *folders],
        env=dict(os.environ) | dict(environment),
        stdout=2,  # dbt's progress goes to stderr: stdout is for the result
        check=False,
        timeout=_TIMEOUT_S,
    )
    return done.returncode == 0
