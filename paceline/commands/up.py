"""`paceline up`: the whole platform on this machine, in the foreground."""

from pathlib import Path
from typing import Annotated

import typer


def up(
    *,
    without: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Do not start a service (airflow, traders, …). Repeatable."),
    ] = None,
    feed: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True, dir_okay=False, help="Recorded frames for the sandbox exchange. Repeatable."
        ),
    ] = None,
    speed: Annotated[
        float | None, typer.Option(min=0, help="Speed of the recordings: 1 is real time.")
    ] = None,
    rate: Annotated[float | None, typer.Option(min=0.01, help="Walked quotes per second.")] = None,
) -> None:
    """Run Postgres, Redis, Kafka, the exchange, the stream workers, the API, Airflow and the demo.

    Data is in PACELINE_VAR_DIR (`var/`), logs are in its `log/`. Ctrl-C stops everything.
    """
    from paceline.local.stack.run import run
    from paceline.local.stack.services import UpOptions

    arguments: list[str] = []
    for path in feed or ():
        arguments += ["--feed", str(path.resolve())]
    for option, value in (("--speed", speed), ("--rate", rate)):
        if value is not None:
            arguments += [option, str(value)]
    raise typer.Exit(run(UpOptions(without=tuple(without or ()), exchange_arguments=tuple(arguments))))
