"""Security events (`ops.security_events`). The API may insert them, and can neither read nor change them."""

from collections.abc import Sequence
from typing import Final

import msgspec

from paceline.adapters.postgres.connections.pool import Pool
from paceline.ports.identity import SecurityEvent

_INSERT: Final = """
insert into ops.security_events (id, at, event, actor, account, email_hash, address, request_id, details)
select id, 'epoch'::timestamptz + at_us * interval '1 microsecond', event, actor, account, email_hash,
    address, request_id, details
from jsonb_to_recordset(%s::jsonb) as given (
    id uuid, at_us bigint, event text, actor text, account text, email_hash text, address text,
    request_id text, details jsonb
)
on conflict do nothing
"""


class PostgresSecurityEvents:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def add(self, events: Sequence[SecurityEvent]) -> None:
        with self._pool.transaction() as connection:
            connection.execute(_INSERT, (msgspec.json.encode(events).decode(),))
            connection.execute("select ops.sweep_security_events()")
