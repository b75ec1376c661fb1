"""Migrates a database to the newest schema."""

from pathlib import Path
from typing import Final

import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext

import migrations
from paceline.core.errors import PermanentError

_ROLES: Final = ("api", "writer", "nightly", "analyst", "identity")


def migrate(url: str, to: str = "head") -> tuple[str | None, str | None]:
    """Run the missing migrations up to `to` in one transaction. A second call waits for the first.

    Returns the revision before and after; None is a database without a schema.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    try:
        with engine.begin() as connection:
            _check_roles(connection)
            connection.execute(sqlalchemy.text("select pg_advisory_xact_lock(72_201_001)"))
            config.attributes["connection"] = connection
            before = MigrationContext.configure(connection).get_current_revision()
            command.upgrade(config, to)
            after = MigrationContext.configure(connection).get_current_revision()
            return before, after
    finally:
        engine.dispose()


def _check_roles(connection: sqlalchemy.Connection) -> None:
    existing = set(connection.scalars(sqlalchemy.text("select rolname from pg_roles")))
    if missing := [role for role in _ROLES if role not in existing]:
        raise PermanentError(
            f"The database roles {', '.join(missing)} are missing. "
            "Run paceline/local/servers/postgres-roles.sql as a superuser first."
        )
