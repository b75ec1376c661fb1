"""The log for requests: each instruction a record of its own, acknowledged."""

import asyncio
from contextlib import suppress

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from paceline.adapters.awaiting import wait_for
from paceline.adapters.kafka.producer import make_producer
from paceline.adapters.kafka.topics import ENGINE_IN
from paceline.core.errors import TransientError, UnknownError
from paceline.messages.inbound import Admin, User
from paceline.messages.log_form import encode_messages


class KafkaInstructionLog:
    """Connects when first used, again after a failure."""

    def __init__(self, brokers: str, timeout_ms: int = 2_000, client_id: str = "paceline-api") -> None:
        self._brokers = brokers
        self._client_id = client_id
        self._timeout_s = timeout_ms / 1000
        self._producer: AIOKafkaProducer | None = None
        self._connecting = asyncio.Lock()

    def append(self, message: User | Admin, shard: int) -> None:
        wait_for(self._append(encode_messages([message]), shard))

    def ping(self) -> None:
        wait_for(self._ping())

    def close(self) -> None:
        """Deliver what is under way, within the time that sending may take."""
        wait_for(self._close())

    async def _append(self, value: bytes, shard: int) -> None:
        try:
            # Cancelling `send` itself takes the record back; once it has returned, nothing does.
            async with asyncio.timeout(self._timeout_s):
                producer = await self._reach(shard)
                delivery = await producer.send(ENGINE_IN, value=value, partition=shard)
        except (TimeoutError, KafkaError, OSError) as error:
            raise TransientError("The instruction log takes nothing at the moment.") from error
        await asyncio.wait((delivery,), timeout=self._timeout_s)
        if not delivery.done() or delivery.exception():
            raise UnknownError("The instruction may be on its way to the log.")

    async def _ping(self) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._reach(0)
        except (TimeoutError, KafkaError, OSError) as error:
            raise TransientError("The instruction log cannot be reached.") from error

    async def _close(self) -> None:
        if self._producer is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(2 * self._timeout_s):
                    await self._producer.stop()

    async def _reach(self, shard: int) -> AIOKafkaProducer:
        """The producer, once the partition's broker is certainly connected; else `TransientError`."""
        producer = self._producer or await self._started()
        client = producer.client
        leader = client.cluster.leader_for_partition(TopicPartition(ENGINE_IN, shard))
        if leader is None:
            await client._wait_on_metadata(ENGINE_IN)
            leader = client.cluster.leader_for_partition(TopicPartition(ENGINE_IN, shard))
        if leader not in (None, -1) and await client.ready(leader):
            return producer
        await client.force_metadata_update()
        raise TransientError("The instruction log cannot be reached.")

    async def _started(self) -> AIOKafkaProducer:
        async with self._connecting:
            if self._producer is None:
                producer = make_producer(self._brokers, self._client_id)
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer
