"""The `paceline` command. A subcommand's module is imported when it is called, so that each starts fast."""

import sys
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from paceline.core.errors import AppError

# Name → module, attribute (a function or a Typer app) and the line in `--help`.
COMMANDS: Final[dict[str, tuple[str, str, str]]] = {
    "up": ("up", "up", "Run the whole platform on this machine until Ctrl-C."),
    "status": ("status", "status", "Show the state of the running platform."),
    "doctor": ("doctor", "doctor", "Check this machine before anything starts."),
    "install": (
        "install",
        "install",
        "Install what is not in wheels: Kafka, compiled engine, dbt manifest.",
    ),
    "stream": ("stream", "stream", "Run stream services: engine, writer, router, bars, feed, watchdog."),
    "api": ("api", "api", "Serve the REST API."),
    "docs": ("docs", "docs", "Build and serve the warehouse's documentation."),
    "beat": ("beat", "beat", "Check a stream service's heartbeat (for containers)."),
    "sandbox": ("sandbox", "app", "Run stand-ins for outside services: exchange, mailbox, traders."),
    "migrate": ("migrate", "migrate", "Migrate the database to the newest schema."),
    "topics": ("topics", "topics", "Create the topics of the log."),
    "markets": ("markets", "markets", "Write the default markets to the log where they are missing."),
    "market": ("market", "app", "List, configure, halt and resume markets."),
    "account": ("account", "app", "List, halt and resume accounts; deposit, withdraw; make operators."),
    "nightly": ("nightly", "nightly", "Compute, check and publish the leaderboard without Airflow."),
    "replay": ("replay", "replay", "Run recorded messages through the engine."),
    "drill": (
        "drill",
        "drill",
        "Kill and pause services of a separate stack, then check that nothing is lost.",
    ),
    "log": ("log", "app", "Export, archive and cut the log."),
    "bars": ("bars", "app", "Rebuild the one-minute bars from the log."),
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
    """A group that lists its commands by name and imports only the one that is called."""

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
        """The list of commands, without importing them."""
        formatter.write_usage(ctx.command_path, "COMMAND [ARGUMENTS]…")
        formatter.write_paragraph()
        formatter.write_text(
            "Paceline: a self-hosted data platform with a live engine for trading communities."
        )
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])
        formatter.write_paragraph()
        formatter.write_text("`paceline COMMAND --help` describes a command.")


app = typer.Typer(cls=LazyGroup, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def paceline() -> None:
    """Paceline: a self-hosted data platform with a live engine for trading communities."""


def main() -> None:
    """Entry point. An `AppError` is printed as one line, without a stack trace."""
    try:
        app()
    except AppError as error:
        print(f"paceline: {error}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
