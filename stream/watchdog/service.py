"""Checks every two seconds and updates `ops.alerts` with the result.

It only raises alerts. An unavailable server must not end it, because other services run in its process. It
need not stop any service: one whose ledger, log or send fails stops by itself.
"""

import asyncio
import time
from typing import Any, Final

import msgspec
import psycopg
import structlog
from aiokafka.errors import KafkaError
from mode import Service
from redis.exceptions import RedisError

from paceline.adapters.kafka.log_ends import LogEndReader
from paceline.adapters.postgres.connections.session import Connection, Session
from paceline.adapters.postgres.operations import alerts
from paceline.adapters.redis import keys
from paceline.adapters.redis.client import connect
from paceline.domain.operations.readers import READERS
from paceline.domain.operations.watch import Limits, Observation, Watch, WatchProblem
from paceline.settings import Settings

_log = structlog.get_logger()

EVERY_S: Final = 2.0
SOURCE: Final = "watchdog"
_SNAPSHOT_AGES: Final = """
select s.shard, extract(epoch from now() - max(x.created_at))::float8
from generate_series(0, %s - 1) as s (shard)
left join engine.snapshots as x on x.shard = s.shard and x.complete
group by s.shard
"""
_MARKETS: Final = "select symbol from engine.current_markets where not halted"


class WatchdogService(Service):  # type: ignore[misc]
    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.name = SOURCE
        self._shards = settings.engine_shards
        self._symbols = frozenset(settings.feed_symbols)
        limits = Limits(
            settings.watchdog_stuck_s,
            settings.watchdog_price_s,
            max(settings.watchdog_snapshot_s, 3 * settings.snapshot_interval_s),
        )
        self._watch = Watch(limits, time.monotonic())
        self._redis = connect(settings.cache_url)
        self._session = Session(settings.database_url, "paceline-watchdog", patience_s=3.0)
        self._ends = LogEndReader(settings.brokers, self._shards)
        self._troubles: list[WatchProblem] = []

    def health(self) -> dict[str, Any]:
        return {"state": "running", "alerts": [msgspec.to_builtins(trouble) for trouble in self._troubles]}

    @Service.task  # type: ignore[untyped-decorator]
    async def run(self) -> None:
        while not self.should_stop:
            await self._round()
            await self.sleep(EVERY_S)

    async def on_stop(self) -> None:
        await self._ends.stop()
        await self._redis.aclose()
        await self._session.close()

    async def _round(self) -> None:
        markets, snapshot_ages_s = await self._read_stored()
        observation = Observation(
            now_s=time.monotonic(),
            offsets=await self._offsets(),
            ends=await self._log_ends(),
            price_ages_s=await self._price_ages_s(markets),
            snapshot_ages_s=snapshot_ages_s,
        )
        troubles, seen = self._watch.look(observation)
        # Troubles of kinds that could not be checked stay as they were.
        unseen = [trouble for trouble in self._troubles if trouble.key.partition(":")[0] not in seen]
        self._troubles = troubles + unseen
        try:
            await self._session.transaction(lambda c: self._update_alerts(c, troubles, seen))
        except psycopg.Error as error:
            _log.warning("alerts not stored", why=str(error).strip()[:300])

    async def _update_alerts(
        self, connection: Connection, troubles: list[WatchProblem], seen: set[str]
    ) -> None:
        for trouble in troubles:
            if await _open(connection, trouble):
                _log.error("alert", key=trouble.key, message=trouble.message)
        ended = await alerts.open_keys(connection, SOURCE) - {trouble.key for trouble in troubles}
        for key in ended:
            if key.partition(":")[0] in seen and await alerts.recover(connection, key):
                _log.warning("recovered", key=key)

    async def _read_stored(self) -> tuple[set[str] | None, dict[int, float | None] | None]:
        async def work(connection: Connection) -> tuple[set[str], dict[int, float | None]]:
            markets = await (await connection.execute(_MARKETS)).fetchall()
            ages = await (await connection.execute(_SNAPSHOT_AGES, (self._shards,))).fetchall()
            return {row[0] for row in markets}, {row[0]: row[1] for row in ages}

        try:
            return await self._session.transaction(work)
        except psycopg.Error:
            return None, None

    async def _offsets(self) -> dict[str, dict[int, int]] | None:
        """The readers' next offsets, from their heartbeats; several workers share the shards."""
        found: dict[str, dict[int, int]] = {reader: {} for reader in READERS}
        try:
            for reader in READERS:
                names = [key async for key in self._redis.scan_iter(keys.health(reader, "*"), count=1000)]
                beats: list[Any] = await self._redis.mget(names) if names else []
                for beat in filter(None, beats):
                    for shard, view in msgspec.json.decode(beat).get("shards", {}).items():
                        offset = view["next_offset"]
                        found[reader][int(shard)] = max(offset, found[reader].get(int(shard), 0))
        except (RedisError, OSError):
            return None
        return found

    async def _log_ends(self) -> dict[str, dict[int, int]] | None:
        try:
            async with asyncio.timeout(5):
                ends = await self._ends.ends()
        except (TimeoutError, KafkaError, OSError):
            return None
        return {
            reader: {shard: ends[reads.topic][shard] for shard in reads.shards(self._shards)}
            for reader, reads in READERS.items()
        }

    async def _price_ages_s(self, markets: set[str] | None) -> dict[str, float | None] | None:
        """Price ages of the markets that are configured, not halted, and subscribed to."""
        if markets is None:
            return None
        ages: dict[str, float | None] = {}
        try:
            for symbol in sorted(markets & self._symbols):
                stamp = await self._redis.hget(keys.price(symbol), "time_us")
                ages[symbol] = None if stamp is None else max(0.0, time.time() - int(stamp) / 1e6)
        except (RedisError, OSError):
            return None
        return ages


async def _open(connection: Connection, trouble: WatchProblem) -> bool:
    return await alerts.open_alert(
        connection, trouble.key, severity=trouble.severity, source=SOURCE, message=trouble.message
    )
