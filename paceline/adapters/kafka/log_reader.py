"""Reads the log from offsets that the services store themselves.

Each reader has a consumer group only to share the shards between processes. No offset is committed to Kafka:
a shard seeks the offset it needs, and gets the records from there without a gap.

librdkafka fetches on its own threads. Fetched records are taken at once; if there are none, a thread of ours
waits for them, so the event loop does not.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from msgspec import Struct

from paceline.adapters.kafka.librdkafka import ConnectionMonitor
from paceline.core.connections import KafkaConnection
from paceline.core.errors import InvariantViolation
from paceline.domain.operations.readers import OffsetRange, Record

T = TypeVar("T")
_log = logging.getLogger("paceline.log_reader")


class _Read(Struct, gc=False):
    offset: int
    value: bytes


# A shard may be busy this long (replay, Postgres unavailable) before Kafka gives it to another process.
_MAX_BUSY_MS: Final = 600_000
_ANSWER_TIMEOUT_S: Final = 10.0
_PREFETCH_KIB: Final = 32 << 10


class LogReader:
    """Reads one topic in batches: the shards that the group assigned to this process."""

    def __init__(
        self,
        kafka: KafkaConnection,
        topic: str,
        group: str,
        *,
        worker: str = "",
        min_bytes: int = 1,
        max_wait_ms: int = 200,
        only_shard: int | None = None,
    ) -> None:
        """Kafka answers when it has `min_bytes`, or after `max_wait_ms` with what there is.

        With `only_shard` no other shard is read, even if the group assigns it to this process.

        A `worker` keeps its shards for the session timeout after it stops, and gets them back at once if it
        restarts within it. Without a name the shards go to other workers when it stops.
        """
        self._topic = topic
        self._only_shard = only_shard
        self._connection = ConnectionMonitor(_log, f"{topic}, {kafka.brokers}", reached=True)
        self._settings: dict[str, Any] = {
            **self._connection.settings(kafka, group),
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "isolation.level": "read_uncommitted",
            "check.crcs": True,
            "session.timeout.ms": 6000,
            "heartbeat.interval.ms": 1500,
            "max.poll.interval.ms": _MAX_BUSY_MS,
            "max.partition.fetch.bytes": 4 << 20,
            "queued.max.messages.kbytes": _PREFETCH_KIB,
            "fetch.queue.backoff.ms": 10,
            "fetch.wait.max.ms": max_wait_ms,
            "fetch.min.bytes": min_bytes,
            **({"group.instance.id": worker} if worker else {}),
        }
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"reads {topic}")
        self._consumer: Consumer | None = None
        self._partitions = 0
        self._assigned: list[int] = []
        self._assignment_changed = False
        self._rebalancing = False  # during a rebalance: a record read now may be of another worker's shard
        self._next_offsets: dict[int, int] = {}
        self._seek_pending = False
        self._pending_poll: asyncio.Future[Message | None] | None = None

    async def start(self) -> None:
        self._consumer = Consumer(self._settings)
        try:
            known = await self._on_thread(self._consumer.list_topics, self._topic, _ANSWER_TIMEOUT_S)
        except KafkaException:
            await self._on_thread(self._consumer.poll, 0)  # logs why, such as a wrong password
            raise
        topic = known.topics[self._topic]
        self._partitions = 0 if topic.error is not None else len(topic.partitions)
        self._consumer.subscribe(
            [self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
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
        """True once after each rebalance; then `seek` must be called for every shard."""
        changed, self._assignment_changed = self._assignment_changed, False
        return changed

    def assigned(self) -> list[int]:
        return self._assigned

    async def bounds(self, shard: int) -> OffsetRange:
        partition = TopicPartition(self._topic, shard)
        ask = self._running().get_watermark_offsets
        begin, end = await self._on_thread(ask, partition, _ANSWER_TIMEOUT_S)
        return OffsetRange(begin, end)

    def seek(self, shard: int, offset: int) -> None:
        self._next_offsets[shard] = offset
        self._seek_pending = True

    def lag(self, shard: int) -> int | None:
        """Records of a shard on the log that `read` has not returned yet; None before the first `seek`."""
        wanted = self._next_offsets.get(shard)
        if wanted is None or self._consumer is None:
            return None
        _, end = self._consumer.get_watermark_offsets(TopicPartition(self._topic, shard), cached=True)
        return None if end < 0 else max(0, end - wanted)

    async def read(self, timeout_ms: int, max_records: int) -> dict[int, list[Record]]:
        """The next records of the shards with a `seek`, in order; none if the assignment has changed.

        `InvariantViolation` if the log has a gap.
        """
        consumer = self._running()
        if self._seek_pending and not self._rebalancing:
            self._seek_pending = False
            consumer.assign(
                [TopicPartition(self._topic, shard, self._next_offsets[shard])
                 for shard in self._assigned if shard in self._next_offsets]
            )  # fmt: skip
        first = consumer.poll(0) or await self._await_message(consumer, timeout_ms / 1000)
        found: dict[int, list[Record]] = {}
        for message in [] if first is None else [first, *consumer.consume(max_records - 1, 0)]:
            if (error := message.error()) is not None:
                self._on_error(error)
            else:
                record = _Read(cast(int, message.offset()), cast(bytes, message.value()))
                found.setdefault(cast(int, message.partition()), []).append(record)
                self._connection.reached = True
        if self._rebalancing or self._assignment_changed or self._seek_pending:
            return {}
        for shard, records in found.items():
            self._check(shard, records)
        return found

    async def _await_message(self, consumer: Consumer, timeout_s: float) -> Message | None:
        """Wait for one message on the thread. If this is cancelled, the next call takes the message."""
        if self._pending_poll is None:
            self._pending_poll = asyncio.get_running_loop().run_in_executor(
                self._thread, consumer.poll, timeout_s
            )
        message = await asyncio.shield(self._pending_poll)
        self._pending_poll = None
        return message

    def _check(self, shard: int, records: list[Record]) -> None:
        wanted = self._next_offsets[shard]
        for record in records:
            if record.offset != wanted:
                raise InvariantViolation(
                    f"The log {self._topic}, shard {shard}, has a gap: offset {record.offset} follows "
                    f"{wanted - 1}."
                )
            wanted += 1
        self._next_offsets[shard] = wanted

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """The group has assigned these shards. They are not fetched before `seek`."""
        consumer.assign([])
        assigned = sorted(one.partition for one in partitions)
        self._assigned = [shard for shard in assigned if self._only_shard in (None, shard)]
        self._next_offsets = {
            shard: self._next_offsets[shard] for shard in self._assigned if shard in self._next_offsets
        }
        self._rebalancing, self._assignment_changed = False, True

    def _on_revoke(self, consumer: Consumer, _: list[TopicPartition]) -> None:
        """A rebalance begins. The shards stay ours until `_on_assign` gives the new assignment."""
        consumer.unassign()
        self._rebalancing = True

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise InvariantViolation(f"The log {self._topic} does not hold the next offset: {error.str()}")
        if error.fatal():
            raise KafkaException(error)
        _log.warning("%s: %s", self._topic, error.str())

    def _running(self) -> Consumer:
        assert self._consumer is not None, "it has not been started"
        return self._consumer

    async def _on_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
