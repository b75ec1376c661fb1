"""A new connection for one transaction, for work that is not urgent: nightly steps and commands."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.rows import DictRow, dict_row

from paceline.adapters.postgres.connections.unavailable import UNAVAILABLE_ERRORS
from paceline.core.errors import TransientError

BlockingConnection = psycopg.Connection[DictRow]


@contextmanager
def transaction(url: str, lock_timeout_ms: int = 0) -> Iterator[BlockingConnection]:
    """Commits at the end; `TransientError` if Postgres is unavailable or a lock is not free in time."""
    try:
        with psycopg.connect(
            url, row_factory=dict_row, application_name="paceline-nightly", connect_timeout=10
        ) as connection:
            if lock_timeout_ms:
                connection.execute(f"set lock_timeout to {lock_timeout_ms}")
            yield connection
    except UNAVAILABLE_ERRORS as error:
        raise TransientError(f"The database cannot do this now: {str(error).strip()}") from error
