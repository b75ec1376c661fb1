"""`paceline bars`: the stored one-minute bars."""

import asyncio
import time
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from paceline.adapters.runtime import terminal
from paceline.commands.options import AsJson
from paceline.core.times import to_datetime
from paceline.settings import settings
from paceline.usecases.market.rebuild_bars import Rebuilt, rebuild_bars

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Make the one-minute bars again.")

_PROGRESS_EVERY_S: Final = 2.0


@app.callback()
def bars() -> None:
    """Make the one-minute bars again."""


@app.command(epilog="Example: paceline bars rebuild --archive /backup/log")
def rebuild(
    *,
    archive: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", file_okay=False, help="Folder of `log archive`, for what was cut from Kafka."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make the bars again from the log, and replace the stored ones in one transaction.

    Reads shard 0 of engine.in from its beginning: first the archive, then Kafka. Nothing changes until all of
    it is read. `paceline stream bars` may run: it goes on where the rebuild ended.

    Where the beginning of the log was cut and no archive is named, older bars stay.
    """
    rebuilt = asyncio.run(_rebuild(archive))
    if as_json:
        terminal.show_json(msgspec.to_builtins(rebuilt))
        return
    since = "all bars" if rebuilt.from_us is None else f"the bars {_since(rebuilt.from_us)}"
    typer.echo(
        f"Replaced {since}: {rebuilt.messages} messages read, up to position {rebuilt.at.position} "
        f"of shard 0."
    )
    if rebuilt.from_us is not None:
        typer.echo("The log does not reach further back. Name its archive with --archive to make all again.")


async def _rebuild(archive: Path | None) -> Rebuilt:
    from paceline.bootstrap.stream import open_bars, open_price_history

    config = settings()
    store = open_bars(config)
    try:
        return await rebuild_bars(open_price_history(config, archive), store, _Progress())
    finally:
        await store.close()


class _Progress:
    """A line on stderr every two seconds."""

    def __init__(self) -> None:
        self._said_s = time.monotonic()

    def __call__(self, messages: int, newest_us: int) -> None:
        if time.monotonic() - self._said_s >= _PROGRESS_EVERY_S:
            self._said_s = time.monotonic()
            typer.echo(f"{messages:,} messages, up to {to_datetime(newest_us):%Y-%m-%d %H:%M} …", err=True)


def _since(from_us: int) -> str:
    """Bars that no price of the log belongs to have no time."""
    try:
        return f"from {to_datetime(from_us):%Y-%m-%d %H:%M} UTC on"
    except (OverflowError, ValueError):
        return "of which the log has prices: none"
