"""`paceline markets`: write the default markets to the log."""

import asyncio

import typer

from paceline.adapters.runtime import terminal
from paceline.adapters.runtime.logs import log_to_stderr
from paceline.commands.options import AsJson
from paceline.settings import settings


def markets(*, as_json: AsJson = False) -> None:
    """Write the default markets to the log of every shard that lacks them. Existing markets do not change."""
    from paceline.bootstrap.operator import configure_default_markets

    log_to_stderr()
    written = asyncio.run(configure_default_markets(settings()))
    if as_json:
        terminal.show_json({"written": written})
    else:
        typer.echo(f"Wrote {written} configurations." if written else "All markets are configured.")
