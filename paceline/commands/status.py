"""`paceline status`: the state of the running stack, from another terminal."""

import os
from typing import Any

import typer

from paceline.adapters.runtime import terminal
from paceline.adapters.runtime.terminal import Column
from paceline.commands.options import AsJson, Wide

COLUMNS = [
    Column(name="service"),
    Column(name="state", style=lambda state: "green" if state in ("up", "done") else "red"),
    Column(name="restarts", priority=3, align="right"),
    Column(name="lag", priority=1, align="right"),
    Column(name="pid", header="PID", priority=4, align="right"),
    Column(name="address", priority=2),
]


def status(
    *,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Show service health, consumer lag, age of the last price and snapshot. Exit code 0 if healthy."""
    from paceline.local.stack.status import collect
    from paceline.settings import load

    found = collect(load(os.environ))
    if as_json:
        terminal.show_json(found)
    elif not found["running"]:
        print("The platform is not running. Start it with `make up` or `paceline up`.")
    else:
        _show(found, wide=wide)
    raise typer.Exit(0 if found["healthy"] else 1)


def _show(found: dict[str, Any], *, wide: bool) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()
    rows = [
        service | {"service": name, "lag": found["consumer_lag"].get(name)}
        for name, service in found["services"].items()
    ]
    if not console.is_terminal:
        terminal.show_table([*COLUMNS, Column(name="reason")], rows, console=console)
        print()
        summary = ("healthy", "last_price_age_s", "last_snapshot_age_s", "engine_form")
        terminal.show_fields({name: found[name] for name in summary}, console=console)
        for alert in found["alerts"]:
            print("alert", alert["severity"], alert["message"], sep="\t")
        return
    terminal.show_table(COLUMNS, rows, wide=wide, console=console)
    for row in rows:
        if row["reason"]:
            console.print(Text.assemble((row["service"], "red"), f": {row['reason']}"))
    for subject, key in (("last price", "last_price_age_s"), ("oldest snapshot", "last_snapshot_age_s")):
        age = found[key]
        console.print(f"{subject}: {'none yet' if age is None else f'{age} s ago'}", highlight=False)
    console.print(f"engine: {found['engine_form'] or 'no shard is open'}", highlight=False)
    for alert in found["alerts"]:
        console.print(Text.assemble((alert["severity"], "red"), f": {alert['message']}"))
    console.print("[green]healthy[/]" if found["healthy"] else "[red]not healthy[/]")
