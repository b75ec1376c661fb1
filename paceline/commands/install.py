"""`paceline install`: what `pip` does not bring. Quick when all is there."""

import sys
from concurrent.futures import ThreadPoolExecutor

import typer


def install() -> None:
    """Fetch Kafka's jars (by SHA-256), prepare them, compile the engine; write dbt's manifest and pages."""
    from paceline.build import engine_build
    from paceline.local.servers import jars, kafka_cache
    from paceline.local.stack import dbt

    count = jars.install(lambda line: print(f"  {line}", flush=True))
    print(f"Kafka's jars: {count} fetched, {len(jars.locked())} in {jars.folder()}", flush=True)
    with ThreadPoolExecutor(2) as pool:
        built, cached = pool.submit(engine_build.install), pool.submit(kafka_cache.install)
        parsed = dbt.install()
        print(f"engine: {built.result()}", flush=True)
        problem = cached.result()
    quick = f"as they are, which starts slower ({problem})" if problem else "prepared for a quick start"
    print(f"Kafka's classes: {quick}")
    if not parsed:
        print("paceline: dbt could not parse the warehouse's models; its words are above", file=sys.stderr)
        raise typer.Exit(1)
    print(f"dbt's manifest: {dbt.PROJECT / 'target' / 'manifest.json'}")
