"""The log for threads: a producer on an event loop of its own, which request threads hand messages to."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

import structlog
import uvloop
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from paceline.adapters.kafka.producer import make_producer
from paceline.adapters.kafka.topics import ENGINE_IN
from paceline.core.errors import TransientError, UnknownError
from paceline.messages.inbound import Admin, User
from paceline.messages.log_form import encode_messages

_log = structlog.get_logger()

# Beyond the time that sending may take: the loop itself answers by then, or it hangs.
_GRACE_S = 1.0


class KafkaInstructionLog:
    """`append` and `ping` may be called from any thread. Connects when first used, again after a failure."""

    def __init__(self, brokers: str, timeout_ms: int = 2_000, client_id: str = "paceline-api") -> None:
        self._brokers = brokers
        self._client_id = client_id
        self._timeout_s = timeout_ms / 1000
        self._producer: AIOKafkaProducer | None = None
        self._connecting = asyncio.Lock()
        self._under_way: set[asyncio.Task[None]] = set()
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="instruction-log", daemon=True)
        self._thread.start()

    def append(self, message: User | Admin, shard: int) -> None:
        self._run(self._append(encode_messages([message]), shard), uncertain=True)

    def ping(self) -> None:
        self._run(self._ping(), uncertain=False)

    def close(self) -> None:
        """Deliver what is under way, within the time that sending may take, and stop the thread."""
        if self._producer is not None:
            try:
                self._run(self._producer.stop(), uncertain=False)
            except TransientError as error:
                _log.warning("instruction_log_closed_late", error=str(error))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None], *, uncertain: bool) -> None:
        """Have the loop do it, with a turn and two futures less than `run_coroutine_threadsafe`."""
        outcome: Future[None] = Future()
        self._loop.call_soon_threadsafe(self._begin, work, outcome)
        try:
            outcome.result(timeout=2 * self._timeout_s + _GRACE_S)
        except FutureTimeoutError as error:
            failure = UnknownError if uncertain else TransientError
            raise failure("The instruction log did not answer in time.") from error

    def _begin(self, work: Coroutine[Any, Any, None], outcome: "Future[None]") -> None:
        task = self._loop.create_task(_told(work, outcome))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

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


async def _told(work: Coroutine[Any, Any, None], outcome: "Future[None]") -> None:
    """Do it, and tell the thread that waits how it went."""
    try:
        await work
    except BaseException as error:  # whatever it is, it is the waiting thread's
        outcome.set_exception(error)
    else:
        outcome.set_result(None)
