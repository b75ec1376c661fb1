"""A Faust service that reads a log: what engine, writer and router have in common.

The loop follows the shards that the consumer group gives to this process, opens each at the offset that
the shard itself knows, hands it its records in order, and closes it when it goes elsewhere or the
process stops. An error that a shard does not handle ends the process: the supervisor starts it anew, and
the shards go on from what they stored.
"""

import asyncio
import time
from contextlib import suppress
from typing import Any, Final, Protocol

import structlog
from mode import Service

from paceline.adapters.kafka.log_reader import LogBounds, LogReader, Record
from paceline.adapters.kafka.topics import check_partitions

_log = structlog.get_logger()

# With nothing to read a shard gets the word this often, for its snapshots and the like.
_IDLE_MS: Final = 100
# A round is short enough to be ended by a stop: a record may hold hundreds of messages.
_MAX_RECORDS: Final = 200
# What comes sooner after a read is read together: a record on its own costs Kafka and us as much as ten.
_PACE_S: Final = 0.003
_CLOSE_WITHIN_S: Final = 5
_STOP_WITHIN_S: Final = 6


class Shard(Protocol):
    """The part of a service that belongs to one shard."""

    @property
    def next_offset(self) -> int:
        """Offset of the record that the shard wants next."""

    async def handle(self, records: list[Record]) -> None:
        """Take the records from `next_offset` on and move it."""

    async def tick(self) -> None:
        """Called after each round, with or without records."""

    async def close(self) -> None:
        """Store what is to be stored and let go."""

    def health(self) -> dict[str, Any]:
        """What `paceline status` shows of this shard."""


class Reopen(Exception):
    """A shard's memory of where it stands no longer holds: open it anew from what is stored."""


class ShardOpener(Protocol):
    async def start(self) -> None:
        """Connect, and refuse what must be refused before the first shard is opened."""

    async def open(self, shard: int, bounds: LogBounds) -> Shard:
        """Load a shard's state; `bounds` are those of its log."""

    async def stop(self) -> None:
        """Disconnect."""


class LogService(Service):  # type: ignore[misc]
    """Runs the shards of one reader. `name` is that of the service and of its consumer group."""

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
        self._ended = asyncio.Event()
        self._ended.set()

    def _repr_info(self) -> str:
        return self.name

    async def on_start(self) -> None:
        await self._opener.start()
        await self._reader.start()
        check_partitions(self._topic, self._reader.partitions(), self._shard_count)

    async def on_stop(self) -> None:
        """Mode calls this while the loop still runs: what the loop needs is let go after its end.

        A loop that waits for a server that is away is left; Mode cancels it.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_WITHIN_S):
                await self._ended.wait()
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
        self._ended.clear()
        try:
            while not self.should_stop:
                await self._round()
            self._state = "stopping"
            await self._close_all()
        finally:
            self._ended.set()

    async def _close_all(self) -> None:
        try:
            async with asyncio.timeout(_CLOSE_WITHIN_S):
                for shard in list(self._shards):
                    await self._close(shard)
        except TimeoutError:
            _log.error("stopped before all was stored; the next start replays it", service=self.name)

    async def _round(self) -> None:
        if self._reader.assignment_changed():
            await self._follow_assignment()
        await asyncio.sleep(self._next_read_s - time.monotonic())
        batches = await self._reader.read(_IDLE_MS, _MAX_RECORDS)
        self._next_read_s = time.monotonic() + _PACE_S
        for shard, records in batches.items():
            await self._guarded(shard, records)
        for shard in list(self._shards):
            await self._guarded(shard, [])

    async def _guarded(self, shard: int, records: list[Record]) -> None:
        opened = self._shards[shard]
        try:
            if records:
                await opened.handle(records)
            else:
                await opened.tick()
        except Reopen as why:
            _log.warning("shard opened anew", service=self.name, shard=shard, why=str(why))
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
        # Without a shard too: a worker that stands by for the others is well.
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
