"""The watchdog's reads, and its alerts (`ops.alerts`)."""

from collections.abc import Sequence, Set
from typing import Final

import psycopg

from paceline.adapters.postgres.connections.connect import Connection
from paceline.adapters.postgres.connections.worker import WorkerConnection
from paceline.adapters.postgres.operations import alerts
from paceline.core.errors import TransientError
from paceline.domain.operations.watch import WatchProblem
from paceline.ports.operations import AlertChanges, StoredState

SOURCE: Final = "watchdog"
_SNAPSHOT_AGES: Final = """
select s.shard, extract(epoch from now() - max(x.created_at))::float8
from generate_series(0, %s - 1) as s (shard)
left join engine.snapshots as x on x.shard = s.shard and x.complete
group by s.shard
"""
_MARKETS: Final = "select symbol from engine.current_markets where not halted"


class PostgresWatchStore:
    def __init__(self, url: str, shards: int, patience_s: float = 3.0) -> None:
        self._shards = shards
        self._session = WorkerConnection(url, "paceline-watchdog", patience_s=patience_s)

    async def state(self) -> StoredState:
        async def work(connection: Connection) -> StoredState:
            markets = await (await connection.execute(_MARKETS)).fetchall()
            ages = await (await connection.execute(_SNAPSHOT_AGES, (self._shards,))).fetchall()
            return StoredState(frozenset(row[0] for row in markets), {row[0]: row[1] for row in ages})

        try:
            return await self._session.transaction(work)
        except psycopg.Error as error:
            raise TransientError(f"The database cannot be read: {str(error).strip()[:300]}") from error

    async def update_alerts(self, problems: Sequence[WatchProblem], kinds: Set[str]) -> AlertChanges:
        async def work(connection: Connection) -> AlertChanges:
            opened = [one.key for one in problems if await _open(connection, one)]
            ended = await alerts.open_keys(connection, SOURCE) - {one.key for one in problems}
            checked = [key for key in sorted(ended) if key.partition(":")[0] in kinds]
            return AlertChanges(opened, [key for key in checked if await alerts.recover(connection, key)])

        try:
            return await self._session.transaction(work)
        except psycopg.Error as error:
            raise TransientError(f"Alerts cannot be stored: {str(error).strip()[:300]}") from error

    async def close(self) -> None:
        await self._session.close()


async def _open(connection: Connection, problem: WatchProblem) -> bool:
    return await alerts.open_alert(
        connection, problem.key, severity=problem.severity, source=SOURCE, message=problem.message
    )
