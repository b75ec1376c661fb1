"""How stream services and commands connect: one kind of connection, with a name and a time limit."""

from typing import Any, Final

import psycopg

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

_TIMEOUT_S: Final = 5


async def connect(url: str, name: str) -> Connection:
    """A new connection in autocommit mode; `name` is shown in `pg_stat_activity`."""
    return await psycopg.AsyncConnection.connect(
        url, autocommit=True, application_name=name, connect_timeout=_TIMEOUT_S
    )
