"""`paceline nightly`: the nightly run without Airflow."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import uuid4

import typer

from paceline.settings import settings


def nightly(
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day, UTC; yesterday if not given.")
    ] = None,
    provisional: Annotated[
        bool, typer.Option(help="Allow a day that still runs; today if no day is given.")
    ] = False,
) -> None:
    """Take a cut, build the models, pass the gates, publish the leaderboard, write the month's Parquet."""
    from paceline.bootstrap import build_models, open_nightly
    from paceline.core.errors import AppError

    today = datetime.now(UTC).date()
    chosen = day.date() if day else today if provisional else today - timedelta(days=1)
    run_id = f"manual-{uuid4().hex[:12]}"
    run = open_nightly(settings())
    try:
        cut = run.take_cut(chosen, allow_running=provisional)
        run.compute_metrics(cut)
        built = build_models(settings(), run.cut_var(cut))
        typer.echo(run.check_dbt(run_id, cut, built=built))
        typer.echo(run.check_expectations(run_id, cut))
        typer.echo(run.check_parity(run_id, cut))
        run.publish(run_id, cut)
        typer.echo(
            f"Published the leaderboard of {cut.as_of_day}{' (provisional)' if cut.provisional else ''}."
        )
        for name, rows in run.export_month(cut).items():
            typer.echo(f"{name}: {rows} rows")
    except AppError as error:
        typer.secho(error.message, fg=typer.colors.RED, err=True)
        raise typer.Exit(1) from error
