"""`paceline drill`: checks that nothing is lost when services are killed."""

import json
import random
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from paceline.adapters.runtime import terminal
from paceline.commands.options import AsJson

_UNTIL = "Kills per service: engine=200,writer=50,kafka=20. Without it, run for `--seconds`."


def drill(
    *,
    until: Annotated[
        str | None,
        typer.Option(metavar="SERVICE=N,…", help=_UNTIL, show_default=False),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(min=1, help="Duration; 60 without `--until`.", show_default=False),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of acts and orders; random if absent.", show_default=False)
    ] = None,
    orders: Annotated[float, typer.Option(min=0.1, metavar="RATE", help="Instructions per second.")] = 20,
    ticks: Annotated[
        int, typer.Option(min=1, max=20_000, metavar="RATE", help="Price updates per second.")
    ] = 50,
    pauses: Annotated[
        float, typer.Option(min=0, max=10, help="SIGSTOPs of 1 to 8 s per SIGKILL of a service.")
    ] = 0.5,
    at_once: Annotated[
        int, typer.Option(min=1, max=4, metavar="N", help="Maximum number of services down at once.")
    ] = 2,
    keep: Annotated[
        Path | None,
        typer.Option(file_okay=False, metavar="FOLDER", help="Folder for logs and evidence if it fails."),
    ] = None,
    report_file: Annotated[
        Path | None,
        typer.Option("--report", dir_okay=False, metavar="FILE", help="Write the report as JSON here too."),
    ] = None,
    json_: AsJson = False,
) -> None:
    """Trade on a separate stack while services are killed and paused, then compare the result with the log.

    Engine, writer, router, bars, feed, API, Kafka, Redis and Postgres get SIGKILL, or SIGSTOP and SIGCONT, in
    an order that the seed determines. Then answers, database, bars, cache and state hashes are compared with
    a replay of the exported log. Exit code 0 only if everything agrees.
    """
    from paceline.drill.report import as_json, show
    from paceline.drill.run import Plan, run
    from paceline.drill.schedule import endless, parse_kills, planned

    # On SIGTERM the drill stops its stack and deletes its folder, as after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    seed = random.randrange(2**31) if seed is None else seed
    kills = parse_kills(until) if until else None
    typer.echo(f"Seed {seed}.", err=True)
    report = run(
        Plan(
            seed=seed,
            acts=planned(seed, kills, pauses) if kills else endless(seed, pauses),
            seconds=seconds if kills else seconds or 60.0,
            lanes=at_once,
            orders_hz=orders,
            ticks_hz=ticks,
            keep=keep,
            say=lambda line: typer.echo(line, err=True),
        )
    )
    if report_file is not None:
        report_file.write_text(json.dumps(as_json(report), indent=1) + "\n")
    if json_:
        terminal.show_json(as_json(report))
    else:
        show(report)
    raise typer.Exit(0 if report.passed else 1)
