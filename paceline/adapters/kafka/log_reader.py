"""Reading the log from positions that we own.

Each reader has a consumer group only to share the shards between processes. Nothing is ever committed
to Kafka: a shard tells the offset it wants, and gets the records from there on without a gap.

librdkafka fetches on threads of its own. What it has is taken at once; where it has nothing, a thread of
ours waits for it, so that the event loop does not.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol, TypeVar, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from msgspec import Struct

from paceline.adapters.kafka.librdkafka import Connection
from paceline.core.errors import InvariantViolation

T = TypeVar("T")
_log = logging.getLogger("paceline.log_reader")


class Record(Protocol):
    """A record of the log, as far as readers look at it."""

    offset: int
    value: bytes


class _Read(Struct, gc=False):
    offset: int
    value: bytes


# A shard may be busy for as long (replay, Postgres away) before Kafka gives it to another process.
_LONGEST_BUSY_MS: Final = 600_000
_ANSWERS_WITHIN_S: Final = 10.0
_FETCHED_AHEAD_KIB: Final = 32 << 10


class LogBounds(Struct, frozen=True):
    """Offsets of a partition: the first record kept, and the one after the last."""

    begin: int
    end: int


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
        self._topic = topic
        self._connection = Connection(_log, f"{topic}, {brokers}", reached=True)
        self._settings: dict[str, Any] = {
            **self._connection.settings(brokers, group),
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "isolation.level": "read_uncommitted",
            "check.crcs": True,
            "session.timeout.ms": 6000,
            "heartbeat.interval.ms": 1500,
            "max.poll.interval.ms": _LONGEST_BUSY_MS,
            "max.partition.fetch.bytes": 4 << 20,
            "queued.max.messages.kbytes": _FETCHED_AHEAD_KIB,
            "fetch.queue.backoff.ms": 10,
            "fetch.wait.max.ms": max_wait_ms,
            "fetch.min.bytes": min_bytes,
            **({"group.instance.id": worker} if worker else {}),
        }
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"reads {topic}")
        self._consumer: Consumer | None = None
        self._partitions = 0
        self._assigned: list[int] = []
        self._changed = False
        self._between = False  # the group shares the shards anew: what is read now may be another's
        self._wanted: dict[int, int] = {}
        self._sought = False
        self._waiting: asyncio.Future[Message | None] | None = None

    async def start(self) -> None:
        self._consumer = Consumer(self._settings)
        known = await self._on_thread(self._consumer.list_topics, self._topic, _ANSWERS_WITHIN_S)
        topic = known.topics[self._topic]
        self._partitions = 0 if topic.error is not None else len(topic.partitions)
        self._consumer.subscribe(
            [self._topic], on_assign=self._given, on_revoke=self._taken, on_lost=self._taken
        )

    async def stop(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await self._on_thread(consumer.close)
        self._thread.shutdown(wait=False)

    def partitions(self) -> int:
        """How many partitions the topic has; 0 when there is no such topic."""
        return self._partitions

    def assignment_changed(self) -> bool:
        """True once after each rebalance; every shard must be sought again then."""
        changed, self._changed = self._changed, False
        return changed

    def assigned(self) -> list[int]:
        return self._assigned

    async def bounds(self, shard: int) -> LogBounds:
        partition = TopicPartition(self._topic, shard)
        ask = self._running().get_watermark_offsets
        begin, end = await self._on_thread(ask, partition, _ANSWERS_WITHIN_S)
        return LogBounds(begin, end)

    def seek(self, shard: int, offset: int) -> None:
        self._wanted[shard] = offset
        self._sought = True

    def lag(self, shard: int) -> int | None:
        """Records of a shard that are on the log and were not handed out yet; None before the first."""
        wanted = self._wanted.get(shard)
        if wanted is None or self._consumer is None:
            return None
        _, end = self._consumer.get_watermark_offsets(TopicPartition(self._topic, shard), cached=True)
        return None if end < 0 else max(0, end - wanted)

    async def read(self, timeout_ms: int, max_records: int) -> dict[int, list[Record]]:
        """The next records of the shards that were sought, in order; nothing when shards came or went.

        `InvariantViolation` where the log does not go on as it must.
        """
        consumer = self._running()
        if self._sought and not self._between:
            self._sought = False
            consumer.assign(
                [TopicPartition(self._topic, shard, self._wanted[shard])
                 for shard in self._assigned if shard in self._wanted]
            )  # fmt: skip
        first = consumer.poll(0) or await self._next(consumer, timeout_ms / 1000)
        found: dict[int, list[Record]] = {}
        for message in [] if first is None else [first, *consumer.consume(max_records - 1, 0)]:
            if (error := message.error()) is not None:
                self._told(error)
            else:
                record = _Read(cast(int, message.offset()), cast(bytes, message.value()))
                found.setdefault(cast(int, message.partition()), []).append(record)
                self._connection.reached = True
        if self._between or self._changed or self._sought:
            return {}
        for shard, records in found.items():
            self._check(shard, records)
        return found

    async def _next(self, consumer: Consumer, timeout_s: float) -> Message | None:
        """One message, waited for on the thread. Whoever is cancelled here loses none of the log: the next
        reader takes what comes."""
        if self._waiting is None:
            self._waiting = asyncio.get_running_loop().run_in_executor(self._thread, consumer.poll, timeout_s)
        message = await asyncio.shield(self._waiting)
        self._waiting = None
        return message

    def _check(self, shard: int, records: list[Record]) -> None:
        wanted = self._wanted[shard]
        for record in records:
            if record.offset != wanted:
                raise InvariantViolation(
                    f"The log {self._topic}, shard {shard}, is not whole: after offset {wanted - 1} "
                    f"came {record.offset}."
                )
            wanted += 1
        self._wanted[shard] = wanted

    def _given(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """The group gave these shards. Nothing is fetched before somebody has said from where on."""
        consumer.assign([])
        self._assigned = sorted(one.partition for one in partitions)
        self._wanted = {shard: self._wanted[shard] for shard in self._assigned if shard in self._wanted}
        self._between, self._changed = False, True

    def _taken(self, consumer: Consumer, _: list[TopicPartition]) -> None:
        """The group shares the shards anew. They are ours until it has told who has them then."""
        consumer.unassign()
        self._between = True

    def _told(self, error: KafkaError) -> None:
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise InvariantViolation(f"The log {self._topic} does not go on where it was left: {error.str()}")
        if error.fatal():
            raise KafkaException(error)
        _log.warning("%s: %s", self._topic, error.str())

    def _running(self) -> Consumer:
        assert self._consumer is not None, "it has not been started"
        return self._consumer

    async def _on_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
