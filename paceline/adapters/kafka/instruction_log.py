"""The log for requests: each instruction a record of its own, handed over to librdkafka's own thread."""

import asyncio
import logging
from typing import Final

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from paceline.adapters.awaiting import wait_for
from paceline.adapters.kafka.topics import ENGINE_IN, MAX_RECORD_BYTES
from paceline.core.errors import TransientError
from paceline.messages.inbound import Admin, User
from paceline.messages.log_form import encode_messages

_log = structlog.get_logger("instruction log")

_DELIVERED_WITHIN_MS: Final = 40_000
_MOST_UNDER_WAY: Final = 10_000
_SERVED_EVERY_S: Final = 0.5


class KafkaInstructionLog:
    """Connects when first used. What befalls the connection makes it ask Kafka again before it takes more."""

    def __init__(self, brokers: str, timeout_ms: int = 2_000, client_id: str = "paceline-api") -> None:
        self._brokers = brokers
        self._client_id = client_id
        self._timeout_s = timeout_ms / 1000
        self._producer: Producer | None = None
        self._reached = False
        self._probe: asyncio.Task[None] | None = None
        self._serving: asyncio.Task[None] | None = None

    def append(self, message: User | Admin, shard: int) -> None:
        value = encode_messages([message])
        if self._producer is not None:
            self._producer.poll(0)  # tells of a connection lost since
        if not self._reached:
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
        if self._producer is None:
            self._producer = self._made()
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve())
        try:
            told = await asyncio.to_thread(self._producer.list_topics, ENGINE_IN, self._timeout_s)
        except KafkaException as error:
            raise TransientError("The instruction log cannot be reached.") from error
        if told.topics[ENGINE_IN].error is not None:
            raise TransientError(f"The instruction log does not work: {told.topics[ENGINE_IN].error}.")
        self._producer.poll(0)  # what it had to tell before it answered says nothing of now
        if not self._reached:
            _log.info("reached", brokers=self._brokers)
        self._reached = True

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
            self._producer, self._reached = None, False

    def _made(self) -> Producer:
        return Producer(
            {
                "bootstrap.servers": self._brokers,
                "client.id": self._client_id,
                # Neither lost nor doubled by a repeated request; acknowledged by all replicas.
                "enable.idempotence": True,
                "linger.ms": 0,
                "socket.nagle.disable": True,
                "message.max.bytes": MAX_RECORD_BYTES,
                "message.timeout.ms": _DELIVERED_WITHIN_MS,
                "queue.buffering.max.messages": _MOST_UNDER_WAY,
                "reconnect.backoff.max.ms": 1_000,
                "delivery.report.only.error": True,
                "on_delivery": self._undelivered,
                "error_cb": self._lost,
                "log_level": 2,  # what it would say of a lost connection, `error_cb` says once
            },
            logger=logging.getLogger("librdkafka"),
        )

    def _undelivered(self, error: KafkaError | None, _: Message) -> None:
        # Whoever waits for the answer hears that there is none; nobody else can be told.
        _log.error("an instruction did not reach the log", why=str(error))

    def _lost(self, error: KafkaError) -> None:
        if self._reached:
            _log.warning("lost", brokers=self._brokers, why=error.str())
        self._reached = False
        if error.fatal():
            self._producer = None
