"""`paceline nightly`: the nightly run without Airflow."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any
from uuid import uuid4

import typer

from paceline.adapters.runtime import terminal
from paceline.adapters.runtime.logs import log_to_stderr
from paceline.commands.options import AsJson
from paceline.settings import settings


def nightly(
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day, UTC; yesterday if absent.")
    ] = None,
    provisional: Annotated[
        bool, typer.Option(help="Allow a day that is not over; today if no day is given.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Take a cut, build the models, check the gates, publish the leaderboard, write the month's Parquet."""
    from paceline.bootstrap.nightly import build_models, open_nightly
    from paceline.core.errors import AppError
    from paceline.usecases.warehouse.nightly import run_steps

    today = datetime.now(UTC).date()
    chosen = day.date() if day else today if provisional else today - timedelta(days=1)
    run_id = f"manual-{uuid4().hex[:12]}"
    log_to_stderr()
    run = open_nightly(settings())

    def report(name: str, result: Any) -> None:
        if as_json:
            return
        if name == "publish":
            typer.echo(f"Published the leaderboard of {cut.as_of_day}{' (provisional)' * cut.provisional}.")
        elif name.startswith("gate_"):
            typer.echo(result)
        elif isinstance(result, dict):
            for file, count in result.items():
                typer.echo(f"{file}: {count} rows")

    try:
        cut = run.take_cut(chosen, allow_running=provisional)
        results = run_steps(run, run_id, cut, partial(build_models, settings()), report)
        if as_json:
            gates = {k.removeprefix("gate_"): v for k, v in results.items() if k.startswith("gate_")}
            result = {"run_id": run_id, "cut": cut, "gates": gates, "rows": results["export_parquet"]}
            terminal.show_json(result)
    except AppError as error:
        typer.secho(error.message, fg=typer.colors.RED, err=True)
        raise typer.Exit(1) from error
