"""`paceline migrate`: bring the database to the newest schema."""

import typer

from paceline.settings import settings


def migrate() -> None:
    """Bring the database to the newest schema. Does nothing where it is."""
    from paceline.adapters.postgres.migrate import migrate as run

    run(settings().database_url)
    typer.echo("The database has the newest schema.")
