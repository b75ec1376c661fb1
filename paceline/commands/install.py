"""`paceline install`: what `pip` does not bring. Quick when all is there."""

import sys

import typer


def install() -> None:
    """Fetch Kafka's jars (locked by SHA-256); compile the engine; write dbt's manifest and documentation."""
    from paceline.local import dbt, engine_build, jars

    count = jars.install(lambda line: print(f"  {line}", flush=True))
    print(f"Kafka's jars: {count} fetched, {len(jars.locked())} in {jars.folder()}", flush=True)
    print(f"engine: {engine_build.install()}", flush=True)
    if not dbt.install():
        print("paceline: dbt could not parse the warehouse's models; its words are above", file=sys.stderr)
        raise typer.Exit(1)
    print(f"dbt's manifest: {dbt.PROJECT / 'target' / 'manifest.json'}")
