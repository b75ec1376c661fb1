"""Airflow with its own metadata database in a temporary folder, configured before Airflow is imported."""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_HOME = tempfile.mkdtemp(prefix="paceline-airflow-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
os.environ |= {
    "AIRFLOW_HOME": _HOME,
    "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "False",
    "AIRFLOW__LOGGING__NAMESPACE_LEVELS": "great_expectations=WARNING",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "DO_NOT_TRACK": "1",
    "PYTHONPATH": str(ROOT),
}


@pytest.fixture(scope="session")
def manifest() -> Path:
    """The dbt manifest that `paceline install` creates for cosmos."""
    from paceline.adapters.runtime.dbt import PROJECT, run_dbt

    assert run_dbt({}, "parse")
    return PROJECT / "target" / "manifest.json"


@pytest.fixture(scope="session")
def airflow_home(manifest: Path) -> Path:
    program = Path(sys.executable).parent / "airflow"
    subprocess.run([str(program), "db", "migrate"], check=True, capture_output=True, timeout=300)
    return Path(_HOME)
