"""`paceline install`: installs what `pip` does not. It is quick if everything is installed."""

import sys
from concurrent.futures import ThreadPoolExecutor

import typer

from paceline.adapters.runtime import terminal
from paceline.commands.options import AsJson


def install(*, as_json: AsJson = False) -> None:
    """Fetch Kafka's jars (by SHA-256), prepare them, compile the engine, write dbt's manifest and page."""
    from paceline.build import engine_build
    from paceline.local.servers import jars, kafka_cache
    from paceline.local.stack import dbt

    def say(line: str) -> None:
        print(line, file=sys.stderr if as_json else sys.stdout, flush=True)

    count = jars.install(lambda line: say(f"  {line}"))
    say(f"Kafka's jars: {count} fetched, {len(jars.locked())} in {jars.folder()}")
    with ThreadPoolExecutor(2) as pool:
        built, cached = pool.submit(engine_build.install), pool.submit(kafka_cache.install)
        parsed = dbt.install()
        say(f"engine: {built.result()}")
        problem = cached.result()
    quick = f"as they are, which starts slower ({problem})" if problem else "prepared for a quick start"
    say(f"Kafka's classes: {quick}")
    manifest = dbt.PROJECT / "target" / "manifest.json"
    if as_json:
        result = {
            "jars": {"fetched": count, "installed": len(jars.locked()), "folder": str(jars.folder())},
            "engine": built.result(),
            "kafka_classes": {"prepared": problem is None, "problem": problem},
            "manifest": str(manifest) if parsed else None,
        }
        terminal.show_json(result)
    if not parsed:
        print("paceline: dbt cannot parse the warehouse's models. See its output above.", file=sys.stderr)
        raise typer.Exit(1)
    say(f"dbt's manifest: {manifest}")
