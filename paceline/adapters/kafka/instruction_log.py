"""Writes the instructions of requests to the log: one record each, sent by librdkafka's own thread."""

import asyncio
import logging
import time
from typing import Final

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from msgspec import Struct

from paceline.adapters.kafka.librdkafka import ConnectionMonitor
from paceline.adapters.kafka.topics import ENGINE_IN, MAX_RECORD_BYTES
from paceline.adapters.runtime.awaiting import wait_for
from paceline.core.connections import KafkaConnection
from paceline.core.errors import TransientError
from paceline.messages.inbound import AdminInstruction, UserInstruction
from paceline.messages.log_form import encode_messages

# Commands use this log as well, and have no structured logs of their own.
_log = logging.getLogger("paceline.instruction_log")

_DELIVERED_WITHIN_MS: Final = 40_000
_MAX_UNDER_WAY: Final = 10_000
_POLL_EVERY_S: Final = 0.5
_STATISTICS_EVERY_MS: Final = 200
_PROBE_POLL_S: Final = 0.02


class _Idempotence(Struct):
    idemp_state: str


class _Statistics(Struct):
    """The field of librdkafka's statistics that shows whether it has its producer id (needed for
    idempotence)."""

    eos: _Idempotence


_statistics = msgspec.json.Decoder(_Statistics)


class KafkaInstructionLog:
    """Connects when first used. After an error it asks Kafka again before it takes more instructions."""

    def __init__(
        self, kafka: KafkaConnection, timeout_ms: int = 2_000, client_id: str = "paceline-api"
    ) -> None:
        self._kafka = kafka
        self._client_id = client_id
        self._timeout_s = timeout_ms / 1000
        self._producer: Producer | None = None
        self._has_producer_id = (
            False  # has a producer id; before, it holds records back, usually for half a second
        )
        self._connection = ConnectionMonitor(_log, kafka.brokers, reached=False)
        self._probe: asyncio.Task[None] | None = None
        self._polling: asyncio.Task[None] | None = None

    def append(self, message: UserInstruction | AdminInstruction, shard: int) -> None:
        value = encode_messages([message])
        if self._producer is not None:
            self._producer.poll(0)  # reports a connection lost since
        if not self._connection.reached:
            wait_for(self._reach())
        assert self._producer is not None
        try:
            self._producer.produce(ENGINE_IN, value=value, partition=shard)
        except (BufferError, KafkaException) as error:
            raise TransientError("The instruction log does not take instructions now.") from error

    def ping(self) -> None:
        wait_for(self._reach())

    def close(self) -> None:
        """Deliver what is under way, for at most twice the timeout."""
        wait_for(self._close())

    async def _reach(self) -> None:
        """Return once Kafka has answered for the topic; else `TransientError`. Callers share one request."""
        if self._probe is None or self._probe.done():
            self._probe = asyncio.create_task(self._probe_topic())
        await asyncio.shield(self._probe)

    async def _probe_topic(self) -> None:
        producer = self._producer = self._producer or self._make_producer()
        if self._polling is None:
            self._polling = asyncio.create_task(self._poll_regularly())
        try:
            metadata = await asyncio.to_thread(producer.list_topics, ENGINE_IN, self._timeout_s)
        except KafkaException as error:
            raise TransientError("The instruction log cannot be reached.") from error
        if metadata.topics[ENGINE_IN].error is not None:
            raise TransientError(f"The instruction log does not work: {metadata.topics[ENGINE_IN].error}.")
        end_s = time.monotonic() + self._timeout_s
        # Poll until no event is left: those from before the answer say nothing about now.
        while producer.poll(0) or not self._has_producer_id:
            if self._producer is not producer or time.monotonic() > end_s:
                raise TransientError("The instruction log does not take our producer yet.")
            await asyncio.sleep(_PROBE_POLL_S)
        self._connection.reached = self._producer is producer

    async def _poll_regularly(self) -> None:
        """librdkafka runs its callbacks only when polled; without requests only this task polls."""
        while True:
            await asyncio.sleep(_POLL_EVERY_S)
            if self._producer is not None:
                self._producer.poll(0)

    async def _close(self) -> None:
        if self._polling is not None:
            self._polling.cancel()
            self._polling = None
        if self._producer is not None:
            await asyncio.to_thread(self._producer.flush, 2 * self._timeout_s)
            self._producer, self._connection.reached = None, False

    def _make_producer(self) -> Producer:
        self._has_producer_id = False
        return Producer(
            {
                **self._connection.settings(self._kafka, self._client_id),
                # A repeated request neither loses nor doubles a record; all replicas acknowledge it.
                "enable.idempotence": True,
                "linger.ms": 0,
                "message.max.bytes": MAX_RECORD_BYTES,
                "message.timeout.ms": _DELIVERED_WITHIN_MS,
                "queue.buffering.max.messages": _MAX_UNDER_WAY,
                "delivery.report.only.error": True,
                "on_delivery": self._on_undelivered,
                "error_cb": self._on_error,
                "statistics.interval.ms": _STATISTICS_EVERY_MS,
                "stats_cb": self._on_statistics,
            }
        )

    def _on_undelivered(self, error: KafkaError | None, _: Message) -> None:
        # The request that waits for the answer times out; here the error can only be logged.
        _log.error("an instruction has not reached the log: %s", error)

    def _on_statistics(self, statistics: str) -> None:
        self._has_producer_id = _statistics.decode(statistics).eos.idemp_state == "Assigned"

    def _on_error(self, error: KafkaError) -> None:
        self._connection.lost(error)
        if error.fatal():
            self._producer = None
