"""Reading the log from positions that we own.

Each reader has a consumer group only to share the shards between processes. Nothing is ever committed
to Kafka: a shard tells the offset it wants, and gets the records from there on without a gap.
"""

from collections.abc import Iterable
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from msgspec import Struct

from paceline.core.errors import InvariantViolation


class Record(Protocol):
    """A record of the log, as far as readers look at it."""

    offset: int
    value: bytes


# A shard may be busy for as long (replay, Postgres away) before Kafka gives it to another process.
_LONGEST_BUSY_MS: Final = 600_000


class LogBounds(Struct, frozen=True):
    """Offsets of a partition: the first record kept, and the one after the last."""

    begin: int
    end: int


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Only notes that shards came or went: opening a shard takes long, may fail, and aiokafka swallows
    what a listener raises, so the reading loop does it."""

    def __init__(self) -> None:
        self.changed = False

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self.changed = True

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self.changed = True


class LogReader:
    """Batches of one topic's records, of the shards that the group gave to this process."""

    def __init__(
        self,
        brokers: str,
        topic: str,
        group: str,
        *,
        worker: str = "",
        min_bytes: int = 1,
        max_wait_ms: int = 200,
    ) -> None:
        """Kafka answers when it has `min_bytes`, or after `max_wait_ms` with what there is.

        A `worker` that comes back under its name within the session timeout has its shards at once, and
        keeps them for as long when it stops; without a name they go to others when it stops.
        """
        self._brokers = brokers
        self._topic = topic
        self._group = group
        self._worker = worker or None
        self._min_bytes = min_bytes
        self._max_wait_ms = max_wait_ms
        self._listener = _Listener()
        self._wanted: dict[int, int] = {}
        self._consumer: Any = None

    async def start(self) -> None:
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._brokers,
            group_id=self._group,
            client_id=self._group,
            group_instance_id=self._worker,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=6000,
            heartbeat_interval_ms=1500,
            max_poll_interval_ms=_LONGEST_BUSY_MS,
            max_partition_fetch_bytes=4 * 1024 * 1024,
            fetch_max_wait_ms=self._max_wait_ms,
            fetch_min_bytes=self._min_bytes,
        )
        self._consumer.subscribe([self._topic], listener=self._listener)
        await self._consumer.start()

    async def stop(self) -> None:
        if self._consumer is not None:
            await self._consumer.stop()

    def partitions(self) -> int:
        """How many partitions the topic has; 0 when there is no such topic."""
        return len(self._consumer.partitions_for_topic(self._topic) or ())

    def assignment_changed(self) -> bool:
        """True once after each rebalance; every shard must be sought again then."""
        changed, self._listener.changed = self._listener.changed, False
        return changed

    def assigned(self) -> list[int]:
        return sorted(tp.partition for tp in self._consumer.assignment() if tp.topic == self._topic)

    async def bounds(self, shard: int) -> LogBounds:
        partition = TopicPartition(self._topic, shard)
        begin = await self._consumer.beginning_offsets([partition])
        end = await self._consumer.end_offsets([partition])
        return LogBounds(begin[partition], end[partition])

    def seek(self, shard: int, offset: int) -> None:
        self._wanted[shard] = offset
        self._consumer.seek(TopicPartition(self._topic, shard), offset)

    def lag(self, shard: int) -> int | None:
        """Records of a shard that are on the log and were not handed out yet; None before the first."""
        end = self._consumer.highwater(TopicPartition(self._topic, shard))
        wanted = self._wanted.get(shard)
        return None if end is None or wanted is None else max(0, end - wanted)

    async def read(self, shards: list[int], timeout_ms: int, max_records: int) -> dict[int, list[Record]]:
        """The next records by shard, in order; nothing when shards came or went meanwhile.

        `InvariantViolation` where the log does not go on as it must.
        """
        partitions = [TopicPartition(self._topic, shard) for shard in shards]
        self._consumer.resume(*self._consumer.paused())
        batches = await self._consumer.getmany(*partitions, timeout_ms=timeout_ms, max_records=max_records)
        if self._listener.changed:
            # A partition assigned anew starts anywhere until it is sought.
            return {}
        found = {tp.partition: self._unbroken(tp.partition, records) for tp, records in batches.items()}
        # At the end of the log aiokafka would ask at once for what comes next, and get the first record of
        # many. Paused until the next read, it asks once for all that came meanwhile.
        self._consumer.pause(*(tp for tp in partitions if not self.lag(tp.partition)))
        return found

    def _unbroken(self, shard: int, records: list[Record]) -> list[Record]:
        wanted = self._wanted[shard]
        for record in records:
            if record.offset != wanted:
                raise InvariantViolation(
                    f"The log {self._topic}, shard {shard}, is not whole: after offset {wanted - 1} "
                    f"came {record.offset}."
                )
            wanted += 1
        self._wanted[shard] = wanted
        return records
