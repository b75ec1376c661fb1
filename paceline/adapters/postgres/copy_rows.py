"""Writes many rows at once: COPY into their table or, if some may exist already, through a temporary one."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from psycopg import sql

from paceline.adapters.postgres.connections.connect import Connection

Line = str
"""A row in COPY's text format: columns separated by tabs, each a number, a `cell`, or `NULL`.

The caller, which knows the columns, formats the whole line: cell by cell it would take three times as long.
"""

# The text for null. A control character, so it differs from any plain value.
NULL: Final = "\x01"
# After this many rows (about 1 ms of work), Postgres and other tasks get their turn.
_SLICE_ROWS: Final = 500
# Postgres cannot store a NUL in text: its symbol replaces it. So does the symbol of the text for null.
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\x00": "␀", NULL: "␁"})


def cell(value: str | None) -> str:
    """Text as a column of a `Line`, escaped so that it cannot change the structure."""
    if value is None:
        return NULL
    if value.isprintable() and "\\" not in value:  # no tab, no end of line, no control character
        return value
    return value.translate(_ESCAPES)


async def make_incoming(connection: Connection, schema: str, tables: Iterable[str]) -> None:
    """Make the temporary tables of this connection, one for each target table."""
    for table in tables:
        await connection.execute(
            sql.SQL("create temp table {} (like {}) on commit delete rows").format(
                sql.Identifier(f"incoming_{table}"), sql.Identifier(schema, table)
            )
        )


async def copy_rows(
    connection: Connection, target: sql.Identifier, columns: Sequence[str], rows: Sequence[Line]
) -> None:
    """Add rows; `UniqueViolation` if one exists already."""
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    statement = sql.SQL("copy {} ({}) from stdin with (null {})").format(target, names, sql.Literal(NULL))
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for first in range(0, len(rows), _SLICE_ROWS):
            await copy.write("".join([f"{line}\n" for line in rows[first : first + _SLICE_ROWS]]).encode())
            await asyncio.sleep(0)


async def insert_rows(
    connection: Connection, schema: str, table: str, columns: Sequence[str], rows: Sequence[Line]
) -> None:
    """Add the rows that do not exist yet. Needs `make_incoming` on this connection and a transaction."""
    incoming = sql.Identifier(f"incoming_{table}")
    await copy_rows(connection, incoming, columns, rows)
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    await connection.execute(
        sql.SQL("insert into {} ({}) select {} from {} on conflict do nothing").format(
            sql.Identifier(schema, table), names, names, incoming
        )
    )
