"""What an operator must see (`ops.alerts`)."""

from collections.abc import Mapping
from typing import Any, Literal

from psycopg.types.json import Jsonb

from paceline.adapters.postgres.session import Connection


async def raise_alert(
    connection: Connection,
    severity: Literal["info", "warning", "critical"],
    source: str,
    message: str,
    details: Mapping[str, Any] | None = None,
) -> None:
    await connection.execute(
        "insert into ops.alerts (severity, source, message, details) values (%s, %s, %s, %s)",
        (severity, source, message, Jsonb(dict(details or {}))),
    )
