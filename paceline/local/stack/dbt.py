"""Runs dbt from the virtual environment: the manifest that Airflow reads, and the documentation page."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from paceline.adapters.runtime.dbt import dbt_environment
from paceline.local.stack.services import BIN, ROOT

PROJECT = ROOT / "dbt"
_NO_TELEMETRY = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "False", "DO_NOT_TRACK": "1"}


def run(*arguments: str, environment: dict[str, str] | None = None, niceness: int = 0) -> bool:
    """Run a dbt command; true on success. dbt prints errors to our output."""
    where = ("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT))
    done = subprocess.run(
        ["nice", f"-n{niceness}", str(BIN / "dbt"), "--quiet", *arguments, *where],  # noqa: S607 - found on the PATH of the environment
        env={**os.environ, **_NO_TELEMETRY, **(environment or {})},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=2,  # stdout is for the result of the command that runs dbt
        check=False,
    )
    return done.returncode == 0


INSTALLED_PAGE = PROJECT / "target" / "index.html"


def install() -> bool:
    """Write `dbt/target/manifest.json` and the first documentation page; needs no database."""
    return run("parse") and write_page(INSTALLED_PAGE, catalogue_of=None)


def write_page(page: Path, *, catalogue_of: str | None) -> bool:
    """Write the documentation as one HTML file, with the column types of a database if one is given."""
    page.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=page.parent) as folder:
        environment = {"DBT_LOG_PATH": folder, **(dbt_environment(catalogue_of) if catalogue_of else {})}
        shutil.copy(PROJECT / "target" / "manifest.json", folder)
        source = () if catalogue_of else ("--empty-catalog", "--no-compile")
        done = run(
            "docs",
            "generate",
            "--static",
            "--target-path",
            folder,
            *source,
            environment=environment,
            niceness=10 if catalogue_of else 0,
        )
        if done:
            (Path(folder) / "static_index.html").replace(page)
    return done
