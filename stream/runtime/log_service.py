"""A Faust service that reads a log: the common part of engine, writer and router.

The loop follows the shards that the consumer group assigns to this process. It opens each at the offset that
the shard itself has stored, gives it its records in order, and closes it when another process gets it or
this one stops. An error that a shard does not handle ends the process: the supervisor restarts it, and the
shards go on from their stored state.
"""

import asyncio
import time
from contextlib import suppress
from typing import Any, Final, Protocol

import structlog
from mode import Service

from paceline.adapters.kafka.log_reader import LogReader
from paceline.adapters.kafka.topics import check_partitions
from paceline.domain.operations.readers import OffsetRange, Record

_log = structlog.get_logger()

# Without records `tick` of a shard is called this often, for example for its snapshots.
_IDLE_MS: Final = 100
# Bounds a round, so a stop need not wait long: a record may hold hundreds of messages.
_MAX_RECORDS: Final = 200
# Records that come sooner after a read are read together: one record alone costs Kafka and us as much as ten.
_PACE_S: Final = 0.003
_CLOSE_WITHIN_S: Final = 5
_STOP_WITHIN_S: Final = 6


class Shard(Protocol):
    """The part of a service that belongs to one shard."""

    @property
    def next_offset(self) -> int:
        """Offset of the record that the shard needs next."""

    async def handle(self, records: list[Record]) -> None:
        """Process the records from `next_offset` on and move it."""

    async def tick(self) -> None:
        """Called in each round, after any records."""

    async def close(self) -> None:
        """Store what is not stored yet, and release the shard."""

    def health(self) -> dict[str, Any]:
        """What `paceline status` shows of this shard."""


class ReopenShard(Exception):
    """A shard's state in memory is no longer valid: open the shard again from its stored state."""


class ShardOpener(Protocol):
    async def start(self) -> None:
        """Connect and check the installation, before the first shard is opened."""

    async def open(self, shard: int, bounds: OffsetRange) -> Shard:
        """Load a shard's state; `bounds` are the offsets of its log."""

    async def stop(self) -> None:
        """Disconnect."""


class LogService(Service):  # type: ignore[misc]
    """Runs the shards of one reader. `name` names the service and its consumer group."""

    def __init__(self, name: str, reader: LogReader, opener: ShardOpener, topic: str, shards: int) -> None:
        super().__init__()
        self.name = name
        self._reader = reader
        self._opener = opener
        self._topic = topic
        self._shard_count = shards
        self._shards: dict[int, Shard] = {}
        self._state = "starting"
        self._next_read_s = 0.0
        self._loop_ended = asyncio.Event()
        self._loop_ended.set()

    def _repr_info(self) -> str:
        return self.name

    async def on_start(self) -> None:
        await self._opener.start()
        await self._reader.start()
        check_partitions(self._topic, self._reader.partitions(), self._shard_count)

    async def on_stop(self) -> None:
        """Mode calls this while the loop still runs, so reader and opener are stopped after the loop's end.

        A loop that waits for an unavailable server is not awaited; Mode cancels it.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_WITHIN_S):
                await self._loop_ended.wait()
        await self._reader.stop()
        await self._opener.stop()

    def health(self) -> dict[str, Any]:
        return {
            "state": self._state,
            "shards": {
                str(shard): {**opened.health(), "lag": self._reader.lag(shard)}
                for shard, opened in sorted(self._shards.items())
            },
        }

    @Service.task  # type: ignore[untyped-decorator]
    async def run(self) -> None:
        self._loop_ended.clear()
        try:
            while not self.should_stop:
                await self._round()
            self._state = "stopping"
            await self._close_all()
        finally:
            self._loop_ended.set()

    async def _close_all(self) -> None:
        try:
            async with asyncio.timeout(_CLOSE_WITHIN_S):
                for shard in list(self._shards):
                    await self._close(shard)
        except TimeoutError:
            _log.error(
                "stopped before all state is stored; the next start replays the rest", service=self.name
            )

    async def _round(self) -> None:
        if self._reader.assignment_changed():
            await self._follow_assignment()
        await asyncio.sleep(self._next_read_s - time.monotonic())
        batches = await self._reader.read(_IDLE_MS, _MAX_RECORDS)
        self._next_read_s = time.monotonic() + _PACE_S
        for shard, records in batches.items():
            await self._process(shard, records)
        for shard in list(self._shards):
            await self._process(shard, [])

    async def _process(self, shard: int, records: list[Record]) -> None:
        opened = self._shards[shard]
        try:
            if records:
                await opened.handle(records)
            else:
                await opened.tick()
        except ReopenShard as why:
            _log.warning("shard reopened", service=self.name, shard=shard, why=str(why))
            await self._open(shard)

    async def _follow_assignment(self) -> None:
        assigned = self._reader.assigned()
        for shard in set(self._shards) - set(assigned):
            await self._close(shard)
        for shard in assigned:
            if shard not in self._shards:
                await self._open(shard)
            elif shard in self._reader.assigned():
                self._reader.seek(shard, self._shards[shard].next_offset)
        # Without a shard too: a standby worker is healthy.
        self._state = "running"

    async def _open(self, shard: int) -> None:
        opened = await self._opener.open(shard, await self._reader.bounds(shard))
        self._shards[shard] = opened
        if shard in self._reader.assigned():
            self._reader.seek(shard, opened.next_offset)
        _log.info("shard opened", service=self.name, shard=shard, offset=opened.next_offset)

    async def _close(self, shard: int) -> None:
        opened = self._shards.pop(shard)
        await opened.close()
        _log.info("shard closed", service=self.name, shard=shard, offset=opened.next_offset)
