"""`paceline migrate`: migrate the database to the newest schema."""

import typer

from paceline.adapters.runtime import terminal
from paceline.commands.options import AsJson
from paceline.settings import settings


def migrate(*, as_json: AsJson = False) -> None:
    """Migrate the database to the newest schema. Does nothing if it has that schema."""
    from paceline.adapters.postgres.migrate import migrate as run

    before, after = run(settings().database_url)
    if as_json:
        terminal.show_json({"before": before, "after": after})
    else:
        typer.echo("The database has the newest schema.")
