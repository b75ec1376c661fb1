"""The `paceline` command. A sub-command's module is imported when it is called, so that all start fast."""

import sys
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from paceline.core.errors import AppError

# Name → where it lives (module and attribute: a function, or a Typer app) and its line in `--help`.
COMMANDS: Final[dict[str, tuple[str, str, str]]] = {
    "up": ("up", "up", "Run the whole platform on this machine until Ctrl-C."),
    "status": ("status", "status", "Tell how the running platform is."),
    "doctor": ("doctor", "doctor", "Check this machine before anything starts."),
    "install": ("install", "install", "Fetch what is not in wheels; prepare the warehouse's manifest."),
    "stream": ("stream", "stream", "Run stream services: engine, writer, router, feed, watchdog."),
    "api": ("api", "api", "Serve the REST API."),
    "docs": ("docs", "docs", "Build and serve the warehouse's documentation."),
    "beat": ("beat", "beat", "Tell whether a stream service's heart beats (for containers)."),
    "sandbox": ("sandbox", "app", "Run stand-ins for outside services: exchange, mailbox, traders."),
    "migrate": ("migrate", "migrate", "Bring the database to the newest schema."),
    "topics": ("topics", "topics", "Create the topics of the log."),
    "markets": ("markets", "markets", "Put the default markets on the log where they are missing."),
    "market": ("market", "app", "List, configure, halt and resume markets."),
    "account": ("account", "app", "Look at accounts; halt, resume, pay in and out; make operators."),
    "nightly": ("nightly", "nightly", "Compute, check and publish the leaderboard without Airflow."),
    "replay": ("replay", "replay", "Run recorded messages through the engine."),
    "drill": (
        "drill",
        "drill",
        "Kill and pause services of a stack of its own, then check that nothing was lost.",
    ),
    "log": ("log", "app", "Export the log, archive it, cut it."),
}

# The last line of a command's `--help`.
EXAMPLES: Final[dict[str, str]] = {
    "up": "paceline up --without airflow --without traders",
    "status": "paceline status --json | jq .healthy",
    "doctor": "paceline doctor --json",
    "stream": "paceline stream engine,writer",
    "beat": "paceline beat engine",
    "nightly": "paceline nightly --day 2026-03-01",
    "replay": "paceline replay shard-0.jsonl.gz --explain 0:1234:0",
    "drill": "paceline drill --seed 20 --until engine=1,kafka=1 --report drill.json",
}


class LazyGroup(TyperGroup):
    """Knows its commands by name and imports only the one that is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        found = getattr(import_module(f"paceline.commands.{module}"), attribute)
        if isinstance(found, typer.Typer):
            command: Any = get_group(found)
        else:
            single = typer.Typer(add_completion=False)
            example = EXAMPLES.get(cmd_name)
            single.command(cmd_name, epilog=f"Example: {example}" if example else None)(found)
            command = get_command(single)
        command.name = cmd_name
        return command

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The overview, without importing the commands."""
        formatter.write_usage(ctx.command_path, "COMMAND [ARGUMENTS]…")
        formatter.write_paragraph()
        formatter.write_text(
            "Paceline: a self-hosted data platform with a live engine for trading communities."
        )
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])
        formatter.write_paragraph()
        formatter.write_text("`paceline COMMAND --help` tells more about each.")


app = typer.Typer(cls=LazyGroup, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def paceline() -> None:
    """Paceline: a self-hosted data platform with a live engine for trading communities."""


def main() -> None:
    """Entry point: an error of ours is one line for a person, not a stack trace."""
    try:
        app()
    except AppError as error:
        print(f"paceline: {error}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
