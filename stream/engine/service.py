"""Runs the pure engine on the shards of `engine.in` and writes its effects to `engine.out`."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaProducer

from paceline.adapters.kafka.log_scan import last_position_out
from paceline.adapters.kafka.producer import PartitionWriter, make_producer
from paceline.adapters.kafka.topics import ENGINE_OUT
from paceline.adapters.postgres.connections.worker import WorkerConnection
from paceline.adapters.postgres.operations import installation
from paceline.adapters.postgres.operations.dead_letters import LONGEST_RAW_BYTES, DeadLetter
from paceline.build import compiled
from paceline.core.connections import KafkaConnection
from paceline.domain.operations.readers import OffsetRange, Record
from paceline.engine import Engine
from paceline.messages.inbound import Inbound
from paceline.messages.log_form import Undecodable, decode_messages, encode_effects
from paceline.messages.outbound import Effect
from stream.engine.recovery import recover
from stream.engine.snapshot_writer import SnapshotWriter

_log = structlog.get_logger()

# After this many messages (about 1 ms of work) their effects are sent and the event loop gets its turn:
# heartbeats, requests and the producer run on it.
_MAX_SLICE: Final = 125
# One price update may trigger every order of a market; a record holds the effects of whole messages.
_RECORD_OUTPUTS: Final = 500


class EngineShard:
    """Applies a shard's records. `sent_to` is the last position whose effect the log holds already."""

    def __init__(
        self,
        engine: Engine,
        next_offset: int,
        outlet: PartitionWriter,
        keeper: SnapshotWriter,
        *,
        sent_to: int,
    ) -> None:
        self.next_offset = next_offset
        self._engine = engine
        self._outlet = outlet
        self._keeper = keeper
        self._sent_to = sent_to
        self._effects: list[Effect] = []
        self._outputs = 0
        self._in_slice = 0

    async def handle(self, records: list[Record]) -> None:
        for record in records:
            await self._apply(decode_messages(record.value))
            self.next_offset = record.offset + 1
            if self._keeper.is_due:
                await self._begin_snapshot()
        await self._send()
        await self._keeper.tick()

    async def _apply(self, messages: Sequence[Inbound | Undecodable]) -> None:
        engine, applied_count = self._engine, 0
        while applied_count < len(messages):
            first, undecodable = engine.position, engine.undecodable
            room = _RECORD_OUTPUTS - self._outputs
            effects = engine.apply_batch(
                messages[applied_count : applied_count + _MAX_SLICE - self._in_slice], room
            )
            applied = messages[applied_count : applied_count + engine.position - first]
            if engine.undecodable > undecodable:
                await self._store_undecodable(first, applied)
            if first <= self._sent_to:
                effects = [effect for effect in effects if effect.position > self._sent_to]
            self._effects += effects
            self._outputs += sum([len(effect.outputs) for effect in effects])
            self._in_slice += len(applied)
            applied_count += len(applied)
            if self._in_slice >= _MAX_SLICE or self._outputs >= _RECORD_OUTPUTS:
                self._in_slice = 0
                await self._send()
                await asyncio.sleep(0)

    async def _store_undecodable(self, first: int, messages: Sequence[Inbound | Undecodable]) -> None:
        """Store the undecodable ones of the messages from position `first` on as dead letters."""
        for position, message in enumerate(messages, first):
            if isinstance(message, Undecodable):
                raw = message.raw[:LONGEST_RAW_BYTES]
                await self._keeper.add_letter(DeadLetter(self._engine.shard, position, message.reason, raw))

    async def _send(self) -> None:
        if self._effects:
            value = encode_effects(self._effects)
            self._effects, self._outputs = [], 0
            await self._outlet.send(value)

    async def _begin_snapshot(self) -> None:
        await self._send()
        self._keeper.begin(self._engine.begin_capture(), self.next_offset, self._outlet.flush)

    async def tick(self) -> None:
        self._outlet.check()
        await self._keeper.tick()
        if self._keeper.is_due:
            await self._begin_snapshot()

    async def close(self) -> None:
        """Take a last snapshot, so the next start has no messages to replay."""
        await self._keeper.finish()
        await self._begin_snapshot()
        await self._keeper.finish()

    def health(self) -> dict[str, Any]:
        stored = self._keeper.stored
        return {
            "position": self._engine.position,
            "next_offset": self.next_offset,
            "log_time_us": self._engine.log_time,
            "replaying": self._engine.position <= self._sent_to,
            "snapshot_age_s": round(self._keeper.age_s, 1),
            "snapshot_position": stored.position if stored else None,
            "snapshot_hash": stored.state_hash if stored else None,
            "form": compiled.form(),
        }


class EngineOpener:
    """Opens the engine's shards: from a snapshot, then the log."""

    def __init__(
        self, database_url: str, kafka: KafkaConnection, shards: int, snapshot_interval_s: float
    ) -> None:
        self._database_url = database_url
        self._kafka = kafka
        self._shards = shards
        self._interval_s = snapshot_interval_s
        self._sessions: dict[int, WorkerConnection] = {}
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        await self._session(0).transaction(lambda c: installation.ensure_shards(c, self._shards))
        self._producer = make_producer(self._kafka, "paceline-engine")
        await self._producer.start()

    async def open(self, shard: int, bounds: OffsetRange) -> EngineShard:
        session = self._session(shard)
        recovered = await recover(session, shard, bounds)
        sent_to = await last_position_out(self._kafka, shard)
        # Spread over the interval, so the shards do not all store at the same time.
        first_s = self._interval_s * (shard + 1) / self._shards
        keeper = SnapshotWriter(shard, session, self._interval_s, first_s)
        outlet = PartitionWriter(self._producer, ENGINE_OUT, shard)
        engine = recovered.engine
        _log.info("engine recovered", shard=shard, position=engine.position, sent_to=sent_to)
        return EngineShard(engine, recovered.next_offset, outlet, keeper, sent_to=sent_to)

    async def stop(self) -> None:
        if self._producer is not None:
            await self._producer.stop()
        for session in self._sessions.values():
            await session.close()

    def _session(self, shard: int) -> WorkerConnection:
        if shard not in self._sessions:
            self._sessions[shard] = WorkerConnection(self._database_url, f"paceline-engine-{shard}")
        return self._sessions[shard]
