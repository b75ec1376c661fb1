"""`paceline topics`: create the topics of the log."""

import asyncio

import typer

from paceline.adapters.runtime import terminal
from paceline.commands.options import AsJson
from paceline.settings import settings


def topics(*, as_json: AsJson = False) -> None:
    """Create the topics of the log, with one partition per shard. Fails if they have another number."""
    from paceline.adapters.kafka.topics import ensure_topics

    config = settings()
    made = asyncio.run(ensure_topics(config.kafka, config.engine_shards))
    if as_json:
        terminal.show_json({"made": made, "partitions": config.engine_shards})
    else:
        typer.echo(f"Made {', '.join(made)}." if made else "All topics are there.")
