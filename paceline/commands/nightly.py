"""`paceline nightly`: the nightly run without Airflow."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated
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
    from paceline.bootstrap import build_models, open_nightly
    from paceline.core.errors import AppError

    today = datetime.now(UTC).date()
    chosen = day.date() if day else today if provisional else today - timedelta(days=1)
    run_id = f"manual-{uuid4().hex[:12]}"
    log_to_stderr()
    run = open_nightly(settings())

    def say(line: str) -> None:
        if not as_json:
            typer.echo(line)

    try:
        cut = run.take_cut(chosen, allow_running=provisional)
        run.compute_metrics(cut)
        built = build_models(settings(), run.cut_var(cut))
        gates: dict[str, str] = {}
        for name, check in (
            ("dbt", partial(run.check_dbt, built=built)),
            ("expectations", run.check_expectations),
            ("parity", run.check_parity),
        ):
            gates[name] = check(run_id, cut)
            say(gates[name])
        run.publish(run_id, cut)
        say(f"Published the leaderboard of {cut.as_of_day}{' (provisional)' if cut.provisional else ''}.")
        rows = run.export_month(cut)
        for name, count in rows.items():
            say(f"{name}: {count} rows")
        if as_json:
            result = {"run_id": run_id, "cut": cut, "gates": gates, "rows": rows}
            terminal.show_json(result)
    except AppError as error:
        typer.secho(error.message, fg=typer.colors.RED, err=True)
        raise typer.Exit(1) from error
