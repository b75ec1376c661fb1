"""Many rows at once: COPY into their table or, where some may be there already, by a temporary one."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from psycopg import sql

from paceline.adapters.postgres.session import Connection

# Numbers come as text already, formatted where their unit is known.
Value = str | int | bool | None
Row = Sequence[Value]

# How null is written. A control character, so that plain values need no escaping and no second look.
_NULL: Final = "\x01"
# After so many rows, about two milliseconds of work, Postgres and all others get their turn.
_SLICE_ROWS: Final = 500
# Postgres cannot hold a NUL in text; its picture takes the place, and that of what means null here.
_ESCAPES: Final = str.maketrans(
    {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\x00": "␀", _NULL: "␁"}
)


def copy_text(rows: Sequence[Row]) -> bytes:
    """The rows in COPY's text format, with `_NULL` for null."""
    lines = [
        "\t".join([_NULL if v is None else v if type(v) is str else str(v) for v in row]) for row in rows
    ]
    text = "\n".join(lines)
    if not _is_plain(text, rows):
        text = "\n".join(["\t".join([_escaped(value) for value in row]) for row in rows])
    return text.encode() + b"\n"


def _is_plain(text: str, rows: Sequence[Row]) -> bool:
    """No value holds what separates values, means null or would be read as an escape."""
    return (
        "\\" not in text
        and "\r" not in text
        and "\x00" not in text
        and text.count("\n") == len(rows) - 1
        and text.count("\t") == len(rows) * (len(rows[0]) - 1)
        and text.count(_NULL) == sum([row.count(None) for row in rows])
    )


def _escaped(value: Value) -> str:
    if value is None:
        return _NULL
    return value.translate(_ESCAPES) if isinstance(value, str) else str(value)


async def make_incoming(connection: Connection, schema: str, tables: Iterable[str]) -> None:
    """Make the temporary tables of this connection, one beside each target."""
    for table in tables:
        await connection.execute(
            sql.SQL("create temp table {} (like {}) on commit delete rows").format(
                sql.Identifier(f"incoming_{table}"), sql.Identifier(schema, table)
            )
        )


async def copy_rows(
    connection: Connection, target: sql.Identifier, columns: Sequence[str], rows: Sequence[Row]
) -> None:
    """Add rows of which none is there; `UniqueViolation` if one is."""
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    statement = sql.SQL("copy {} ({}) from stdin with (null {})").format(target, names, sql.Literal(_NULL))
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for first in range(0, len(rows), _SLICE_ROWS):
            await copy.write(copy_text(rows[first : first + _SLICE_ROWS]))
            await asyncio.sleep(0)


async def insert_rows(
    connection: Connection, schema: str, table: str, columns: Sequence[str], rows: Sequence[Row]
) -> None:
    """Add what is not there yet. Needs `make_incoming` on this connection and a transaction."""
    incoming = sql.Identifier(f"incoming_{table}")
    await copy_rows(connection, incoming, columns, rows)
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    await connection.execute(
        sql.SQL("insert into {} ({}) select {} from {} on conflict do nothing").format(
            sql.Identifier(schema, table), names, names, incoming
        )
    )
