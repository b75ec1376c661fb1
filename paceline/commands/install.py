"""`paceline install`: what `pip` does not bring. Quick when all is there."""

import sys
from concurrent.futures import ThreadPoolExecutor

import typer


def install() -> None:
    """Fetch Kafka's jars (by SHA-256) and let Java prepare them; write dbt's manifest and documentation."""
    from paceline.local import dbt, jars, kafka_cache

    count = jars.install(lambda line: print(f"  {line}", flush=True))
    print(f"Kafka's jars: {count} fetched, {len(jars.locked())} in {jars.folder()}", flush=True)
    with ThreadPoolExecutor(1) as pool:
        cached = pool.submit(kafka_cache.install)
        parsed = dbt.install()
        problem = cached.result()
    quick = f"as they are, which starts slower ({problem})" if problem else "prepared for a quick start"
    print(f"Kafka's classes: {quick}")
    if not parsed:
        print("paceline: dbt could not parse the warehouse's models; its words are above", file=sys.stderr)
        raise typer.Exit(1)
    print(f"dbt's manifest: {dbt.PROJECT / 'target' / 'manifest.json'}")
