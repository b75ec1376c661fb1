"""The errors that mean: Postgres cannot be reached, or does not do it now."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg.errors import IdleInTransactionSessionTimeout
from psycopg_pool import PoolTimeout, TooManyRequests

from paceline.core.errors import TransientError

# The server has gone, was stopped, ended the session, or refuses connections for a moment.
UNAVAILABLE_ERRORS: Final = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    IdleInTransactionSessionTimeout,
)
POOL_EXHAUSTED: Final = (PoolTimeout, TooManyRequests)


@contextmanager
def as_transient() -> Iterator[None]:
    """`TransientError` in their place."""
    try:
        yield
    except (*UNAVAILABLE_ERRORS, *POOL_EXHAUSTED) as error:
        raise TransientError("The database cannot be reached.") from error
