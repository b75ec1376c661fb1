"""The log for requests: each instruction a record of its own, handed over to librdkafka's own thread."""

import asyncio
import logging
import time
from typing import Final

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from msgspec import Struct

from paceline.adapters.kafka.librdkafka import Connection
from paceline.adapters.kafka.topics import ENGINE_IN, MAX_RECORD_BYTES
from paceline.adapters.runtime.awaiting import wait_for
from paceline.core.errors import TransientError
from paceline.messages.inbound import Admin, User
from paceline.messages.log_form import encode_messages

# Commands use this log as well, and have no structured logs of their own.
_log = logging.getLogger("paceline.instruction_log")

_DELIVERED_WITHIN_MS: Final = 40_000
_MOST_UNDER_WAY: Final = 10_000
_SERVED_EVERY_S: Final = 0.5
_STATISTICS_EVERY_MS: Final = 200
_LOOK_EVERY_S: Final = 0.02


class _Idempotence(Struct):
    idemp_state: str


class _Statistics(Struct):
    """Of what librdkafka tells of itself, whether it has the number that makes repeating harmless."""

    eos: _Idempotence


_statistics = msgspec.json.Decoder(_Statistics)


class KafkaInstructionLog:
    """Connects when first used. What befalls the connection makes it ask Kafka again before it takes more."""

    def __init__(self, brokers: str, timeout_ms: int = 2_000, client_id: str = "paceline-api") -> None:
        self._brokers = brokers
        self._client_id = client_id
        self._timeout_s = timeout_ms / 1000
        self._producer: Producer | None = None
        self._numbered = False  # before that it keeps what it is given, for half a second as a rule
        self._connection = Connection(_log, brokers, reached=False)
        self._probe: asyncio.Task[None] | None = None
        self._serving: asyncio.Task[None] | None = None

    def append(self, message: User | Admin, shard: int) -> None:
        value = encode_messages([message])
        if self._producer is not None:
            self._producer.poll(0)  # tells of a connection lost since
        if not self._connection.reached:
            wait_for(self._reach())
        assert self._producer is not None
        try:
            self._producer.produce(ENGINE_IN, value=value, partition=shard)
        except (BufferError, KafkaException) as error:
            raise TransientError("The instruction log takes nothing at the moment.") from error

    def ping(self) -> None:
        wait_for(self._reach())

    def close(self) -> None:
        """Deliver what is under way, within the time that reaching Kafka may take."""
        wait_for(self._close())

    async def _reach(self) -> None:
        """Return once Kafka has answered for the topic; else `TransientError`. One question serves all."""
        if self._probe is None or self._probe.done():
            self._probe = asyncio.create_task(self._ask())
        await asyncio.shield(self._probe)

    async def _ask(self) -> None:
        producer = self._producer = self._producer or self._made()
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve())
        try:
            told = await asyncio.to_thread(producer.list_topics, ENGINE_IN, self._timeout_s)
        except KafkaException as error:
            raise TransientError("The instruction log cannot be reached.") from error
        if told.topics[ENGINE_IN].error is not None:
            raise TransientError(f"The instruction log does not work: {told.topics[ENGINE_IN].error}.")
        end_s = time.monotonic() + self._timeout_s
        # Polled until there is no more: what it had to tell before it answered says nothing of now.
        while producer.poll(0) or not self._numbered:
            if self._producer is not producer or time.monotonic() > end_s:
                raise TransientError("The instruction log does not take our producer yet.")
            await asyncio.sleep(_LOOK_EVERY_S)
        self._connection.reached = self._producer is producer

    async def _serve(self) -> None:
        """What librdkafka has to tell waits until it is asked for; without requests nobody else would."""
        while True:
            await asyncio.sleep(_SERVED_EVERY_S)
            if self._producer is not None:
                self._producer.poll(0)

    async def _close(self) -> None:
        if self._serving is not None:
            self._serving.cancel()
            self._serving = None
        if self._producer is not None:
            await asyncio.to_thread(self._producer.flush, 2 * self._timeout_s)
            self._producer, self._connection.reached = None, False

    def _made(self) -> Producer:
        self._numbered = False
        return Producer(
            {
                **self._connection.settings(self._brokers, self._client_id),
                # Neither lost nor doubled by a repeated request; acknowledged by all replicas.
                "enable.idempotence": True,
                "linger.ms": 0,
                "message.max.bytes": MAX_RECORD_BYTES,
                "message.timeout.ms": _DELIVERED_WITHIN_MS,
                "queue.buffering.max.messages": _MOST_UNDER_WAY,
                "delivery.report.only.error": True,
                "on_delivery": self._undelivered,
                "error_cb": self._lost,
                "statistics.interval.ms": _STATISTICS_EVERY_MS,
                "stats_cb": self._told,
            }
        )

    def _undelivered(self, error: KafkaError | None, _: Message) -> None:
        # Whoever waits for the answer hears that there is none; nobody else can be told.
        _log.error("an instruction did not reach the log: %s", error)

    def _told(self, statistics: str) -> None:
        self._numbered = _statistics.decode(statistics).eos.idemp_state == "Assigned"

    def _lost(self, error: KafkaError) -> None:
        self._connection.lost(error)
        if error.fatal():
            self._producer = None
