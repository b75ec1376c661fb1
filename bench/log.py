"""Benchmarks of the services on a real log: Kafka → engine → Kafka, writer, bars, a trigger, a recovery.

    python -m bench.log [--quick] [--json]

It starts its own Postgres, Redis and Kafka. Services run in this process as in a worker, so their CPU time is
that of the process. `…, CPU` is the rate per second of CPU time: the rate with a core of their own.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec.structs import replace

from bench import core_load as load
from bench.core import with_trades
from bench.figures import Figure, add_json_option, quantile, show
from bench.servers import (
    Servers,
    as_role,
    make_topic,
    priority_of,
    running_servers,
    use_append_timestamps,
    worker,
)
from bench.steal_time import least_disturbed
from paceline.adapters.kafka.log_reader import LogReader
from paceline.adapters.kafka.producer import PartitionWriter, make_producer
from paceline.adapters.kafka.topics import ENGINE_IN, ENGINE_OUT
from paceline.adapters.postgres.connections.connect import Connection
from paceline.adapters.postgres.connections.worker import WorkerConnection
from paceline.adapters.postgres.market.bars import PostgresBars
from paceline.adapters.postgres.operations import installation, snapshots
from paceline.adapters.postgres.operations.snapshots import SnapshotHead
from paceline.adapters.postgres.trading import history
from paceline.adapters.postgres.trading.effect_rows import RowMaker
from paceline.core.connections import KafkaConnection
from paceline.domain.operations.readers import OffsetRange
from paceline.engine import Engine
from paceline.engine.snapshot import SCHEMA_VERSION
from paceline.messages.inbound import Inbound, PriceUpdate
from paceline.messages.log_form import Undecodable, decode_effects, decode_messages, encode_effects
from paceline.messages.outbound import Effect
from stream.bars.service import BarsOpener
from stream.engine.recovery import recover
from stream.engine.service import EngineOpener
from stream.runtime.log_service import LogService, ShardOpener
from stream.writer.service import WriterOpener

_SNAPSHOT_INTERVAL_S = 3600.0
_GAP_CHECK_S = 0.001
_TICK_S = 0.005
_EMPTY_OUT = "bench.out"
_NO_POSITION = 1 << 40


@dataclass(frozen=True)
class Run:
    """The cost of some work: wall time, CPU time of this process, p99 of the gaps of its event loop."""

    wall_s: float
    cpu_s: float
    gap_p99_ms: float


async def _record_gaps(gaps: list[float]) -> None:
    """Record how long the event loop blocked other tasks."""
    while True:
        before = time.perf_counter()
        await asyncio.sleep(_GAP_CHECK_S)
        gaps.append(max(0.0, time.perf_counter() - before - _GAP_CHECK_S))


async def timed(work: Awaitable[object]) -> Run:
    gaps: list[float] = []
    watch = asyncio.create_task(_record_gaps(gaps))
    wall, cpu = time.perf_counter(), time.process_time()
    await work
    run = time.perf_counter() - wall, time.process_time() - cpu
    watch.cancel()
    # Very short work has fewer than two gaps.
    return Run(*run, statistics.quantiles(gaps, n=100)[98] * 1e3 if len(gaps) > 1 else 0.0)


async def write(servers: Servers, topic: str, values: Sequence[bytes]) -> None:
    producer = make_producer(KafkaConnection(servers.kafka), "bench")
    await producer.start()
    outlet = PartitionWriter(producer, topic, 0)
    for value in values:
        await outlet.send(value)
    await producer.stop()


async def serve(
    name: str, topic: str, servers: Servers, opener: ShardOpener, until: int, *, since: int = 0
) -> Run:
    """Run a service's loop until it has handled all records before `until`. The time counts from `since`."""
    service = LogService(
        name, LogReader(KafkaConnection(servers.kafka), topic, f"bench-{name}"), opener, topic, 1
    )

    async def opened() -> None:
        while not service.health()["shards"]:  # noqa: ASYNC110  (no event to wait for)
            await asyncio.sleep(0.001)

    async def handled(offset: int) -> None:
        while service.health()["shards"]["0"]["next_offset"] < offset:  # noqa: ASYNC110
            await asyncio.sleep(0.002)

    with priority_of(name):
        await service.start()
        await opened()
        await handled(since)
        run = await timed(handled(until))
        await service.stop()
    return run


async def empty_engine(servers: Servers, since: int, end: int) -> Run:
    """Run the same log through an engine that only returns every fifth message as its effect."""
    await make_topic(servers.kafka, _EMPTY_OUT)
    consumer = AIOKafkaConsumer(bootstrap_servers=servers.kafka, max_partition_fetch_bytes=4 * 1024 * 1024)
    producer = make_producer(KafkaConnection(servers.kafka), "bench-empty")
    await consumer.start()
    await producer.start()
    partition = TopicPartition(ENGINE_IN, 0)
    consumer.assign([partition])
    consumer.seek(partition, since)
    outlet = PartitionWriter(producer, _EMPTY_OUT, 0)

    async def work() -> None:
        offset = since
        while offset < end:
            batches = await consumer.getmany(timeout_ms=100, max_records=200)
            for record in batches.get(partition, ()):
                messages = decode_messages(record.value)
                effects = [
                    Effect(record.offset, 0, message, [])
                    for message in messages[::5]
                    if not isinstance(message, Undecodable)
                ]
                await outlet.send(encode_effects(effects))
                offset = record.offset + 1
        await outlet.flush()

    with priority_of("engine"):
        run = await timed(work())
    await consumer.stop()
    await producer.stop()
    return run


async def kafka_engine_kafka(servers: Servers, scale: int) -> list[Figure]:
    accounts, count = 100_000 // scale, 400_000 // scale
    opening: list[Inbound] = [load.market(), *load.accounts(accounts), load.price(accounts + 1, load.MID)]
    first = load.encoded(opening)
    mixed = load.encoded(load.mixed(len(opening), count, accounts))
    await write(servers, ENGINE_IN, first)
    engines = partial(EngineOpener, servers.postgres, KafkaConnection(servers.kafka), 1, _SNAPSHOT_INTERVAL_S)
    await serve("engine", ENGINE_IN, servers, engines(), len(first))
    await write(servers, ENGINE_IN, mixed)
    end = len(first) + len(mixed)
    empty = await empty_engine(servers, len(first), end)
    run = await serve("engine", ENGINE_IN, servers, engines(), end, since=len(first))
    limit = count / empty.wall_s, count / empty.cpu_s
    return [
        Figure(
            "Kafka → engine → Kafka, mixed load",
            count / run.wall_s,
            "messages/s",
            80_000,
            250_000,
            limit[0],
            "the same with an empty engine",
        ),
        Figure(
            "Kafka → engine → Kafka, mixed load, CPU",
            count / run.cpu_s,
            "messages/s",
            None,
            None,
            limit[1],
            "the same with an empty engine",
        ),
        Figure("engine service: its event loop's gaps, p99", run.gap_p99_ms, "ms", 5, 3),
    ]


def opens_and_stops(trades: int) -> tuple[list[Effect], list[Effect]]:
    """The effects of opening `trades`, and of prices that hit all their stop losses, level by level."""
    accounts = min(trades, 10_000)
    engine = Engine()
    opening = [load.market(), *load.accounts(accounts), load.price(accounts + 1, load.MID)]
    opening += [load.trade(accounts + 2 + n, n % accounts, load.MID) for n in range(trades)]
    opened = engine.apply_batch(opening)
    falling = [load.MID * (10_000 - bps) // 10_000 for bps in range(490, 1010)]
    return opened, engine.apply_batch([load.price(engine.position + n, bid) for n, bid in enumerate(falling)])


def records_of(effects: Sequence[Effect], count: int) -> list[bytes]:
    return [encode_effects(effects[at : at + count]) for at in range(0, len(effects), count)]


async def writer(servers: Servers, scale: int) -> list[Figure]:
    trades = 40_000 // scale
    opened, stopped = opens_and_stops(trades)
    before, after = records_of(opened, 200), records_of(stopped, 6)
    await write(servers, ENGINE_OUT, before)
    await serve(
        "writer", ENGINE_OUT, servers, WriterOpener(as_role(servers.postgres, "writer"), 1), len(before)
    )
    await write(servers, ENGINE_OUT, after)
    session = WorkerConnection(as_role(servers.postgres, "writer"), "bench", history.prepare)
    rows = await insert_rows(session, stopped)
    run = await serve(
        "writer",
        ENGINE_OUT,
        servers,
        WriterOpener(as_role(servers.postgres, "writer"), 1),
        len(before) + len(after),
    )
    await session.close()
    return [
        Figure("writer: closed orders into Postgres", trades / run.wall_s, "orders/s", 20_000, 80_000,
               trades / rows.wall_s, "inserting their prepared rows"),
        Figure("writer: closed orders, CPU of its process", trades / run.cpu_s, "orders/s"),
    ]  # fmt: skip


async def insert_rows(session: WorkerConnection, effects: Sequence[Effect]) -> Run:
    """Insert only the rows of closed orders, then roll back: the limit of Postgres."""
    maker = RowMaker(0, {})
    for effect in effects:
        maker.add(effect)
    rows = {"closed_orders": maker.rows["closed_orders"]}

    async def insert(connection: Connection) -> None:
        await history.append(connection, rows)
        raise _RollBack

    async def work() -> None:
        with suppress(_RollBack):
            await session.transaction(insert)

    return await timed(work())


class _RollBack(Exception):
    """Rolls a measured transaction back."""


async def bars(servers: Servers, scale: int) -> list[Figure]:
    """Prices of about a quarter of an hour, a thousand a second, into one-minute bars."""
    count = 1_000_000 // scale
    prices = [replace(price, time=price.time + n * 1_000) for n, price in enumerate(load.prices(0, count))]
    values = load.encoded(prices)
    await write(servers, ENGINE_IN, values)

    async def decode() -> None:
        for value in values:
            decode_messages(value)

    decoding = await timed(decode())
    opener = BarsOpener(PostgresBars(as_role(servers.postgres, "writer")))
    run = await serve("bars", ENGINE_IN, servers, opener, len(values))
    return [
        Figure("bars: prices from Kafka into Postgres", count / run.wall_s, "prices/s", None, None,
               count / decoding.wall_s, "decoding them alone"),
        Figure("bars: prices, CPU of its process", count / run.cpu_s, "prices/s"),
    ]  # fmt: skip


async def trigger(servers: Servers, scale: int) -> list[Figure]:
    """Time from sending a price until Kafka has appended the closing of the trade that it stops."""
    ticks = 1_000 // scale
    opening: list[Inbound] = [load.market(), *load.accounts(1), load.price(2, load.MID)]
    opening += [replace(load.trade(3 + n, 0, load.MID), stop_loss=load.MID - (n + 1) * load.TICK, leverage=1)
                for n in range(ticks)]  # fmt: skip
    await write(servers, ENGINE_IN, load.encoded(opening))
    with worker("engine", servers):
        stops, prices = await trigger_times(servers, len(opening), 15_000 // scale, ticks)
    p50, p99 = (2 * quantile(prices, share) for share in (0.50, 0.99))
    bare = "twice the append of the price"
    return [
        Figure("tick to trigger output, p50", quantile(stops, 0.50), "ms", None, None, p50, bare),
        Figure("tick to trigger output, p99", quantile(stops, 0.99), "ms", 10, 3, p99, bare),
    ]


async def trigger_times(
    servers: Servers, first: int, warm_up: int, ticks: int
) -> tuple[list[float], list[float]]:
    """Milliseconds from sending each price until its trigger's output is appended, and until the price is.

    Kafka's append timestamps are whole milliseconds, so times are rounded up. The logs are read after the
    last price, so that only the engine uses the machine meanwhile. The first `warm_up` prices trigger nothing
    and do not count, because the JVM is slow while it compiles.
    """
    await use_append_timestamps(servers.kafka, ENGINE_IN, ENGINE_OUT)
    producer = make_producer(KafkaConnection(servers.kafka), "bench-ticks")
    await producer.start()
    await append_times(servers, ENGINE_OUT, {first - 1})
    for number in range(first, first + warm_up):
        await producer.send(ENGINE_IN, value=load.encoded([load.price(number, load.MID)])[0], partition=0)
        await asyncio.sleep(_TICK_S)
    first += warm_up
    sent: dict[int, float] = {}
    for number in range(first, first + ticks):
        value = load.encoded([load.price(number, load.MID - (number - first + 1) * load.TICK)])[0]
        sent[number] = time.time_ns() / 1e6
        await producer.send(ENGINE_IN, value=value, partition=0)
        await asyncio.sleep(_TICK_S)
    outputs, prices = [await append_times(servers, topic, sent.keys()) for topic in (ENGINE_OUT, ENGINE_IN)]
    await producer.stop()
    return [outputs[n] + 1 - sent[n] for n in sent], [prices[n] + 1 - sent[n] for n in sent]


async def append_times(servers: Servers, topic: str, numbers: Set[int]) -> dict[int, int]:
    """When Kafka appended the prices or effects with these numbers, in ms. Waits until all are there."""
    found: dict[int, int] = {}
    consumer = AIOKafkaConsumer(bootstrap_servers=servers.kafka)
    await consumer.start()
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    await consumer.seek_to_beginning(partition)
    async with asyncio.timeout(60):
        while not found.keys() >= numbers:
            for record in (await consumer.getmany(timeout_ms=100)).get(partition, ()):
                found |= dict.fromkeys(numbers_in(topic, record.value), record.timestamp)
    await consumer.stop()
    return found


def numbers_in(topic: str, value: bytes) -> list[int]:
    """The numbers of the prices or effects in a record: update ids or positions."""
    if topic == ENGINE_OUT:
        return [effect.position for effect in decode_effects(value)]
    return [m.update_id for m in decode_messages(value) if isinstance(m, PriceUpdate)]


async def recovery(servers: Servers, scale: int) -> list[Figure]:
    """Load 100,000 accounts and open trades from Postgres, then replay later messages from Kafka."""
    many, count = 100_000 // scale, 1_000_000 // scale
    engine = with_trades(many, many)
    capture = engine.begin_capture()
    chunks = [snapshots.chunk_of(data) for data in capture.slices()]
    head = SnapshotHead(0, capture.position, 0, capture.log_time, capture.hash, SCHEMA_VERSION, "bench")
    session = WorkerConnection(as_role(servers.postgres, "writer"), "bench")
    await session.transaction(lambda c: installation.ensure_shards(c, 1))
    await session.transaction(lambda c: snapshots.store(c, head, chunks, {}))
    loading = await timed(recover(session, 0, OffsetRange(0, 0)))
    await session.close()
    values = load.encoded(load.mixed(engine.position, count, many))
    await write(servers, ENGINE_IN, values)
    # As after a crash: the effects of these messages are already on `engine.out`.
    await write(servers, ENGINE_OUT, [encode_effects([Effect(_NO_POSITION, 0, load.price(0, 1), [])])])
    opener = EngineOpener(
        as_role(servers.postgres, "writer"), KafkaConnection(servers.kafka), 1, _SNAPSHOT_INTERVAL_S
    )
    replay = await serve("engine", ENGINE_IN, servers, opener, len(values))
    million = 1_000_000 / count
    return [
        Figure(f"recovery: load {many:,} accounts and trades", loading.wall_s, "s", 5, 2),
        Figure("recovery: replay of 1,000,000 messages", replay.wall_s * million, "s", 8, 3),
        Figure("recovery: replay of 1,000,000 messages, CPU", replay.cpu_s * million, "s"),
    ]


Part = Callable[[Servers, int], Coroutine[Any, Any, list[Figure]]]
_PARTS: Mapping[str, Part] = {
    "engine": kafka_engine_kafka,
    "writer": writer,
    "bars": bars,
    "trigger": trigger,
    "recovery": recovery,
}


def run(measure: Part, servers: Servers, scale: int) -> list[Figure]:
    return uvloop.run(measure(servers.fresh(), scale))


def main(arguments: Sequence[str]) -> list[Figure]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the load, for a quick check")
    parser.add_argument("--only", choices=_PARTS, help="run only this measurement")
    add_json_option(parser)
    options = parser.parse_args(arguments)
    figures: list[Figure] = []
    with running_servers() as servers:
        for name, measure in _PARTS.items():
            if options.only in (None, name):
                figures += least_disturbed(partial(run, measure, servers, 10 if options.quick else 1))
    show(figures, options.json)
    return figures


if __name__ == "__main__":
    main(sys.argv[1:])
