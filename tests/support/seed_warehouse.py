"""Stores three days of trading in a database, in a separate process.

    python -m tests.support.seed_warehouse URL

The writer needs Faust, which cannot be installed next to Airflow 3.3.2. So the DAG tests run this module with
the Python that `PACELINE_TEST_PYTHON` names. The default is the Python that runs the tests.
"""

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

FIRST_DAY = date(2026, 3, 1)
LAST_DAY = date(2026, 3, 3)


def seed_warehouse(url: str) -> None:
    """Run this module on an empty, migrated database."""
    python = os.environ.get("PACELINE_TEST_PYTHON", sys.executable)
    subprocess.run(
        [python, "-m", "tests.support.seed_warehouse", url],
        cwd=Path(__file__).parents[2],
        check=True,
        timeout=120,
    )


def main(url: str) -> None:
    from tests.support.warehouse_rows import SimulatedPlatform

    platform = SimulatedPlatform(url)
    platform.trade(FIRST_DAY, days=3, step_minutes=60)
    platform.store()


if __name__ == "__main__":
    main(sys.argv[1])
