"""`paceline install`: what `pip` does not bring. Quick when all is there."""

import os
import subprocess
import sys
from pathlib import Path

import typer


def install() -> None:
    """Fetch Kafka's jars (locked by SHA-256) into the virtual environment and write dbt's manifest."""
    from paceline.local import jars
    from paceline.local.stack import BIN, ROOT

    count = jars.install(lambda line: print(f"  {line}", flush=True))
    print(f"Kafka's jars: {count} fetched, {len(jars.locked())} in {jars.folder()}", flush=True)
    project = ROOT / "dbt"
    where = ["--project-dir", str(project), "--profiles-dir", str(project)]
    quiet = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "False", "DO_NOT_TRACK": "1"}
    done = subprocess.run(
        [str(Path(BIN) / "dbt"), "--quiet", "parse", *where],
        env={**os.environ, **quiet},
        cwd=ROOT,
        check=False,
    )
    if done.returncode != 0:
        print("paceline: dbt could not parse the warehouse's models", file=sys.stderr)
        raise typer.Exit(done.returncode)
    print(f"dbt's manifest: {project / 'target' / 'manifest.json'}")
