"""`paceline status`: how the running stack is, from another terminal."""

import json
import os
from typing import Annotated, Any

import typer


def status(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs; `healthy` says all in one.")] = False,
) -> None:
    """Health of each service, consumer lag, age of the last price and snapshot. Exit code 0 if healthy."""
    from paceline.local.stack.status import collect
    from paceline.settings import load

    found = collect(load(os.environ))
    if as_json:
        print(json.dumps(found, indent=2))
    elif not found["running"]:
        print("Nothing runs here: start it with `make up` or `paceline up`.")
    else:
        _show(found)
    raise typer.Exit(0 if found["healthy"] else 1)


def _show(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    for heading in ("service", "state", "PID", "restarts", "lag", "remarks"):
        table.add_column(heading, overflow="fold")
    for name, service in found["services"].items():
        colour = "green" if service["state"] in ("up", "done") else "red"
        table.add_row(
            name,
            f"[{colour}]{service['state']}[/]",
            str(service["pid"] or ""),
            str(service["restarts"]),
            str(found["consumer_lag"].get(name, "")),
            escape(service["reason"] or service["address"]),
        )
    console = Console()
    console.print(table)
    for subject, key in (("last price", "last_price_age_s"), ("oldest snapshot", "last_snapshot_age_s")):
        age = found[key]
        console.print(f"{subject}: {'none yet' if age is None else f'{age} s ago'}", highlight=False)
    console.print(f"engine: {found['engine_form'] or 'no shard is open'}", highlight=False)
    for alert in found["alerts"]:
        console.print(f"[red]{alert['severity']}[/]: {escape(alert['message'])}", highlight=False)
    console.print("[green]healthy[/]" if found["healthy"] else "[red]not healthy[/]")
