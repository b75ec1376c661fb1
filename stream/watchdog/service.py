"""Checks every two seconds and updates `ops.alerts` with the result.

It only raises alerts. An unavailable server must not end it, because other services run in its process. It
need not stop any service: one whose ledger, log or send fails stops by itself.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import structlog
from mode import Service

from paceline.core.errors import TransientError
from paceline.domain.operations.readers import READERS
from paceline.domain.operations.watch import Observation, Watch, WatchLimits, WatchProblem
from paceline.ports.operations import LiveSigns, LogEndsByTopic, StoredState, WatchStore

_log = structlog.get_logger()

EVERY_S: Final = 2.0


class WatchdogService(Service):  # type: ignore[misc]
    """`symbols` are the markets that the feed subscribes to: only their prices must be fresh."""

    def __init__(
        self,
        store: WatchStore,
        signs: LiveSigns,
        log: LogEndsByTopic,
        *,
        shards: int,
        symbols: frozenset[str],
        limits: WatchLimits,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        super().__init__()
        self.name = "watchdog"
        self._store = store
        self._signs = signs
        self._ends = log
        self._shards = shards
        self._symbols = symbols
        self._now_us = now_us
        self._watch = Watch(limits, time.monotonic())
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
        await self._signs.close()
        await self._store.close()

    async def _round(self) -> None:
        stored = await self._stored()
        observation = Observation(
            now_s=time.monotonic(),
            offsets=await self._offsets(),
            ends=await self._log_ends(),
            price_ages_s=await self._price_ages_s(stored.running_markets) if stored else None,
            snapshot_ages_s=stored.snapshot_ages_s if stored else None,
        )
        troubles, seen = self._watch.look(observation)
        # Troubles of kinds that could not be checked stay as they were.
        unseen = [trouble for trouble in self._troubles if trouble.key.partition(":")[0] not in seen]
        self._troubles = troubles + unseen
        try:
            changes = await self._store.update_alerts(troubles, seen)
        except TransientError as error:
            _log.warning("alerts not stored", why=error.message)
            return
        messages = {trouble.key: trouble.message for trouble in troubles}
        for key in changes.opened:
            _log.error("alert", key=key, message=messages[key])
        for key in changes.recovered:
            _log.warning("recovered", key=key)

    async def _stored(self) -> StoredState | None:
        try:
            return await self._store.state()
        except TransientError:
            return None

    async def _offsets(self) -> Mapping[str, Mapping[int, int]] | None:
        """The readers' next offsets; several workers share the shards."""
        try:
            return {reader: await self._signs.offsets(reader) for reader in READERS}
        except TransientError:
            return None

    async def _log_ends(self) -> Mapping[str, Mapping[int, int]] | None:
        try:
            ends = await self._ends.ends()
        except TransientError:
            return None
        return {
            reader: {shard: ends[reads.topic][shard] for shard in reads.shards(self._shards)}
            for reader, reads in READERS.items()
        }

    async def _price_ages_s(self, markets: frozenset[str]) -> Mapping[str, float | None] | None:
        """Price ages of the markets that are configured, not halted, and subscribed to."""
        try:
            times_us = await self._signs.price_times_us(sorted(markets & self._symbols))
        except TransientError:
            return None
        now_us = self._now_us()
        return {
            symbol: None if time_us is None else max(0.0, (now_us - time_us) / 1e6)
            for symbol, time_us in times_us.items()
        }
