"""Migrates a database to the newest schema."""

from pathlib import Path

import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext

import migrations


def migrate(url: str) -> tuple[str | None, str | None]:
    """Run all missing migrations in one transaction; a second call at the same time waits for the first.

    Returns the revision before and after; None is a database without a schema.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    try:
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("select pg_advisory_xact_lock(72_201_001)"))
            config.attributes["connection"] = connection
            before = MigrationContext.configure(connection).get_current_revision()
            command.upgrade(config, "head")
            after = MigrationContext.configure(connection).get_current_revision()
            return before, after
    finally:
        engine.dispose()
