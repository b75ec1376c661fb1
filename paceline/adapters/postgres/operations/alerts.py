"""Alerts for operators (`ops.alerts`).

An alert without a key is an event. An alert with a key is a state: it is open until its cause has ended.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from psycopg.types.json import Jsonb

from paceline.adapters.postgres.connections.connect import Connection

Severity = Literal["info", "warning", "critical"]

# A cause that returns sooner than this after its end reopens the same alert.
_SAME_WITHIN: Final = "10 minutes"


async def raise_alert(
    connection: Connection,
    severity: Severity,
    source: str,
    message: str,
    details: Mapping[str, Any] | None = None,
) -> None:
    await connection.execute(
        "insert into ops.alerts (severity, source, message, details) values (%s, %s, %s, %s)",
        (severity, source, message, Jsonb(dict(details or {}))),
    )


async def open_alert(
    connection: Connection,
    key: str,
    *,
    severity: Severity,
    source: str,
    message: str,
    details: Mapping[str, Any] | None = None,
) -> bool:
    """Open the alert of a cause, unless it is open; true if this opened it."""
    await connection.execute("select pg_advisory_xact_lock(72202, hashtext(%s))", (key,))
    known = await connection.execute(
        "select id, recovered_at is null as is_open from ops.alerts where key = %s "  # noqa: S608 - parts are constants of this module, values are bound
        f"and (recovered_at is null or recovered_at > now() - interval '{_SAME_WITHIN}') "
        "order by recovered_at desc nulls first limit 1",
        (key,),
    )
    row = await known.fetchone()
    if row is not None and row[1]:
        return False
    if row is not None:
        await connection.execute(
            "update ops.alerts set recovered_at = null, times = times + 1, severity = %s, message = %s, "
            "details = %s where id = %s",
            (severity, message, Jsonb(dict(details or {})), row[0]),
        )
        return True
    await connection.execute(
        "insert into ops.alerts (key, severity, source, message, details) values (%s, %s, %s, %s, %s)",
        (key, severity, source, message, Jsonb(dict(details or {}))),
    )
    return True


async def recover(connection: Connection, key: str) -> bool:
    """Close the alert of a cause that has ended; true if it was open."""
    changed = await connection.execute(
        "update ops.alerts set recovered_at = now() where key = %s and recovered_at is null", (key,)
    )
    return changed.rowcount > 0


async def open_keys(connection: Connection, source: str) -> set[str]:
    """The keys of a source's open alerts."""
    cursor = await connection.execute(
        "select key from ops.alerts where source = %s and key is not null and recovered_at is null", (source,)
    )
    return {str(row[0]) for row in await cursor.fetchall()}
