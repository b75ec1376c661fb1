"""Many rows at once: COPY into a temporary table, then INSERT … ON CONFLICT DO NOTHING."""

from collections.abc import Iterable, Sequence
from typing import Final

from psycopg import sql

from paceline.adapters.postgres.session import Connection

# Numbers come as text already, formatted where their unit is known.
Value = str | int | bool | None
Row = Sequence[Value]

_SPECIAL: Final = str.maketrans(
    # Postgres cannot hold a NUL in text; its picture takes the place.
    {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\x00": "␀"}
)


def copy_text(rows: Iterable[Row]) -> bytes:
    """The rows in COPY's text format."""
    return "".join(["\t".join([_field(value) for value in row]) + "\n" for row in rows]).encode()


def _field(value: Value) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, str):
        return value if value.isalnum() else value.translate(_SPECIAL)
    if value is True:
        return "t"
    if value is False:
        return "f"
    return str(value)


async def make_incoming(connection: Connection, schema: str, tables: Iterable[str]) -> None:
    """Make the temporary tables of this connection, one beside each target."""
    for table in tables:
        await connection.execute(
            sql.SQL("create temp table {} (like {}) on commit delete rows").format(
                sql.Identifier(f"incoming_{table}"), sql.Identifier(schema, table)
            )
        )


async def insert_rows(
    connection: Connection, schema: str, table: str, columns: Sequence[str], rows: Sequence[Row]
) -> None:
    """Insert what is not there yet. Needs `make_incoming` on this connection and a transaction."""
    if not rows:
        return
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    incoming = sql.Identifier(f"incoming_{table}")
    async with connection.cursor() as cursor:
        async with cursor.copy(sql.SQL("copy {} ({}) from stdin").format(incoming, names)) as copy:
            await copy.write(copy_text(rows))
        await cursor.execute(
            sql.SQL("insert into {} ({}) select {} from {} on conflict do nothing").format(
                sql.Identifier(schema, table), names, names, incoming
            )
        )
