"""The empty path of an order: HTTP → Kafka → an engine that accepts all → Kafka → Redis → HTTP.

    python -m bench.empty_path [--orders 200] [--ticks 5000] [--shards 4] [--seconds 30] [--json]

It has no session, no validation, no engine and no books. Only the servers and hops remain, which are the
lower limit for an order. Prices go to every shard of the same log meanwhile.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition

from api.http.bridge import WsgiBridge
from api.http.serve import serve_asgi
from bench import core_load as load
from bench.figures import Figure, add_json_option, quantile, show
from bench.orders import order_latencies, order_times
from bench.servers import priority_services, running_servers, terminated_at_end
from paceline.adapters.kafka.instruction_log import KafkaInstructionLog
from paceline.adapters.kafka.producer import PartitionWriter, make_producer
from paceline.adapters.kafka.topics import ENGINE_IN, ENGINE_OUT
from paceline.adapters.redis import client as streams
from paceline.adapters.redis.client import SyncRedis
from paceline.adapters.redis.trading.commands import reply_command
from paceline.adapters.redis.trading.replies import RedisReplies
from paceline.core.connections import KafkaConnection
from paceline.core.ids import shard_of
from paceline.local.processes.ports import free_port
from paceline.local.processes.process import spawn
from paceline.messages.inbound import PlaceOrder
from paceline.messages.json_form import output_to_json
from paceline.messages.log_form import decode_effects, decode_messages, encode_effects
from paceline.messages.outbound import Effect, OrderResponse
from paceline.settings import settings

_ACCOUNTS = 8
_TICK_BATCHES_HZ = 200
_LONGEST_BODY = 1024


def application() -> WsgiBridge:
    """An application that returns the engine's answer."""
    log = KafkaInstructionLog(settings().kafka, timeout_ms=2_000, client_id="bench-empty")
    replies = RedisReplies(SyncRedis(settings().cache_url, 2_000))
    shards, number = settings().engine_shards, count()

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        now_us = time.time_ns() // 1000
        account = f"account-{next(number) % _ACCOUNTS}"
        message = PlaceOrder(uuid4().hex, now_us, account, load.SYMBOL, "buy", "market", 1)
        with replies.expect(account, message.id, now_us) as wait:
            log.append(message, shard_of(account, shards))
            found = wait(2_000)
        start("200 OK" if found else "202 Accepted", [("Content-Type", "text/plain")])
        return [b"" if found is None else found.id.encode()]

    return WsgiBridge(answer, _LONGEST_BODY, log.close)


async def accept_orders(kafka: KafkaConnection, shards: int) -> None:
    """Accept every order on `engine.in` at once."""
    producer = make_producer(kafka, "bench-yes")
    await producer.start()
    outlets = [PartitionWriter(producer, ENGINE_OUT, shard) for shard in range(shards)]
    async for record in _records(kafka, ENGINE_IN, shards):
        effects = [
            Effect(record.offset, message.time, message, [_accepted(f"0:{record.offset}:{number}", message)])
            for number, message in enumerate(decode_messages(record.value))
            if type(message) is PlaceOrder
        ]
        if effects:
            await outlets[record.partition].send(encode_effects(effects))


def _accepted(name: str, order: PlaceOrder) -> OrderResponse:
    rest = (None,) * 6
    return OrderResponse(name, order.time, order.id, order.account, "accepted", None, *rest, False)


async def route_answers(kafka: KafkaConnection, cache_url: str, shards: int) -> None:
    """Send every answer on `engine.out` to Redis, where its request waits."""
    client = streams.connect(cache_url)
    async for record in _records(kafka, ENGINE_OUT, shards):
        commands: list[streams.CommandWords] = []
        for effect in decode_effects(record.value):
            for output in effect.outputs:
                assert isinstance(output, OrderResponse)
                commands.append(reply_command(output_to_json(output), effect.message.time))
        await client.ask(*commands)


async def send_prices(kafka: KafkaConnection, ticks_hz: int, shards: int) -> None:
    producer = make_producer(kafka, "bench-ticks")
    await producer.start()
    batch = max(1, ticks_hz // _TICK_BATCHES_HZ)
    due, number = time.perf_counter(), 0
    while True:
        prices = [load.price(number + n, load.MID) for n in range(batch)]
        value = load.encoded(prices)[0]
        for shard in range(shards):
            await producer.send(ENGINE_IN, value=value, partition=shard)
        number += batch
        due += batch / ticks_hz
        await asyncio.sleep(max(0.0, due - time.perf_counter()))


async def _records(kafka: KafkaConnection, topic: str, shards: int) -> Any:
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.brokers)
    await consumer.start()
    partitions = [TopicPartition(topic, shard) for shard in range(shards)]
    consumer.assign(partitions)
    await consumer.seek_to_beginning(*partitions)
    while True:
        for records in (await consumer.getmany(timeout_ms=100)).values():
            for record in records:
                yield record


@contextmanager
def running_part(environment: dict[str, str], *arguments: object, service: str) -> Iterator[None]:
    """Run this module as a process, with the scheduling of the service that it stands for."""
    process = spawn(
        [sys.executable, "-m", "bench.empty_path", *map(str, arguments)],
        cwd=Path.cwd(),
        output=subprocess.DEVNULL,
        environment=os.environ | environment,
        first=service in priority_services(),
    )
    with terminated_at_end(process):
        yield


async def _wait_for_answer(url: str) -> None:
    async with asyncio.timeout(60):
        while (await order_latencies(url, [{}], [{}], 1, 1)).failures:  # noqa: ASYNC110  (no event to wait for)
            await asyncio.sleep(0.5)


def measure(orders_hz: float, ticks_hz: int, seconds: float, warm_up_s: float, shards: int) -> list[Figure]:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    with ExitStack() as stack:
        environment = stack.enter_context(running_servers()).fresh(shards).environment(shards)
        stack.enter_context(running_part(environment, "serve", port, service="api"))
        stack.enter_context(running_part(environment, "yes", service="engine"))
        stack.enter_context(running_part(environment, "hand-on", service="router"))
        stack.enter_context(running_part(environment, "prices", ticks_hz, service="feed"))
        uvloop.run(_wait_for_answer(url))
        uvloop.run(order_latencies(url, [{}], [{}], orders_hz, warm_up_s))
        orders = order_times(url, [{}], [{}], orders_hz, seconds)
    at = f"{orders_hz:g} orders/s, {ticks_hz} ticks/s"
    return [
        Figure(f"empty path of an order, p50 ({at})", quantile(orders.latencies, 0.50), "ms"),
        Figure(f"empty path of an order, p99 ({at})", quantile(orders.latencies, 0.99), "ms"),
        Figure("empty path: orders without an answer", orders.failures, "orders"),
        orders.taken.figure("empty path"),
        *orders.p99_not_counted("empty path, p99"),
    ]


def main(arguments: Sequence[str]) -> list[Figure]:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n", maxsplit=1)[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--orders", type=float, default=200, help="orders per second")
    parser.add_argument("--ticks", type=int, default=5000, help="price updates per second")
    parser.add_argument("--seconds", type=float, default=30, help="how long to send orders")
    parser.add_argument("--warm-up", type=float, default=90, help="seconds of uncounted orders before")
    parser.add_argument("--shards", type=int, default=settings().engine_shards, help="shards of the log")
    add_json_option(parser)
    options = parser.parse_args(arguments)
    figures = measure(options.orders, options.ticks, options.seconds, options.warm_up, options.shards)
    show(figures, options.json)
    return figures


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", port_]:
            serve_asgi(application(), "127.0.0.1", int(port_))
        case ["yes"]:
            uvloop.run(accept_orders(settings().kafka, settings().engine_shards))
        case ["hand-on"]:
            uvloop.run(route_answers(settings().kafka, settings().cache_url, settings().engine_shards))
        case ["prices", rate]:
            uvloop.run(send_prices(settings().kafka, int(rate), settings().engine_shards))
        case other:
            main(other)
