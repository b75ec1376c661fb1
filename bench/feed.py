"""Benchmark of the feed: frames per second, and the time from the exchange to a reader of the log.

`python -m bench.feed --rate 5000 --seconds 10` starts its own servers in a temporary folder, the sandbox
exchange and the feed in their own processes, and reads shard 0 of the log as the engine does.
"""

import argparse
import asyncio
import multiprocessing
import statistics
import sys
import time
from collections.abc import Coroutine, Sequence
from typing import Any

import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.figures import Figure, add_json_option, show
from bench.servers import Servers, running_servers
from paceline.adapters.kafka.topics import ENGINE_IN
from paceline.local.processes.ports import free_port
from paceline.messages.inbound import PriceUpdate
from paceline.messages.log_form import decode_messages
from paceline.settings import Settings, load
from sandbox.exchange.server import Exchange, Options
from stream.feed.service import FeedService

SHARDS = 4
WARM_UP_S = 3.0


async def _exchange(port: int, rate_hz: float) -> None:
    async with Exchange(Options(port=port, rate_hz=rate_hz)) as exchange:
        await exchange.run()


async def _feed(settings: Settings) -> None:
    feed = FeedService(settings)
    await feed.start()
    await asyncio.Event().wait()


def _run(work: Coroutine[Any, Any, None]) -> None:
    import uvloop

    uvloop.run(work)


def _exchange_process(port: int, rate_hz: float) -> None:
    _run(_exchange(port, rate_hz))


def _feed_process(settings: Settings) -> None:
    _run(_feed(settings))


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def measure(settings: Settings, seconds: float, pids: dict[str, int]) -> dict[str, float]:
    """Read shard 0 for `seconds` after a warm-up. Returns rates, delays and the CPU time of `pids`."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka.brokers, fetch_max_wait_ms=100)
    await consumer.start()
    consumer.assign([TopicPartition(ENGINE_IN, 0)])
    waits_us: list[int] = []
    stamps_us: list[int] = []
    records = 0
    processes = {name: psutil.Process(pid) for name, pid in pids.items()}
    cpu_s: dict[str, float] = {}
    start = time.monotonic() + WARM_UP_S
    while (now := time.monotonic()) < start + seconds:
        for batch in (await consumer.getmany(timeout_ms=50)).values():
            if now < start:
                continue
            cpu_s = cpu_s or {name: _cpu_s(process) for name, process in processes.items()}
            records += len(batch)
            for record in batch:
                read_us = time.time_ns() // 1000
                for update in decode_messages(record.value):
                    assert isinstance(update, PriceUpdate)
                    assert update.venue_time_us is not None
                    waits_us.append(read_us - update.venue_time_us)
                    stamps_us.append(update.time - update.venue_time_us)
    spent_s = {name: _cpu_s(process) - cpu_s[name] for name, process in processes.items()}
    await consumer.stop()
    waits, stamps = statistics.quantiles(waits_us, n=100), statistics.quantiles(stamps_us, n=100)
    per_100_000 = 100_000 / len(waits_us)
    return {f"{name}_cpu_s": round(spent * per_100_000, 2) for name, spent in spent_s.items()} | {
        "frames_per_s": round(len(waits_us) / seconds),
        "frames_per_record": round(len(waits_us) / max(records, 1), 1),
        "frame_to_stamp_p50_ms": round(stamps[49] / 1000, 2),
        "frame_to_stamp_p99_ms": round(stamps[98] / 1000, 2),
        "frame_to_reader_p50_ms": round(waits[49] / 1000, 2),
        "frame_to_reader_p99_ms": round(waits[98] / 1000, 2),
    }


def figures_of(found: dict[str, float], rate: float) -> list[Figure]:
    at = f"{rate:g} frames/s"
    return [
        Figure(f"feed: frames read ({at})", found["frames_per_s"], "frames/s", None, None, rate, "sent"),
        Figure(f"feed: frame to reader, p50 ({at})", found["frame_to_reader_p50_ms"], "ms"),
        Figure(f"feed: frame to reader, p99 ({at})", found["frame_to_reader_p99_ms"], "ms"),
        Figure(f"feed: frame to stamp, p99 ({at})", found["frame_to_stamp_p99_ms"], "ms"),
        Figure("feed: frames in a record", found["frames_per_record"], "frames"),
        Figure(f"feed: CPU time of the feed for 100,000 frames ({at})", found["feed_cpu_s"], "s"),
        Figure(f"feed: CPU time of the exchange for 100,000 frames ({at})", found["exchange_cpu_s"], "s"),
    ]


def main(arguments: Sequence[str]) -> list[Figure]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rate", type=float, default=5_000, help="frames per second")
    parser.add_argument("--seconds", type=float, default=10, help="how long to measure")
    add_json_option(parser)
    wanted = parser.parse_args(arguments)
    with running_servers() as servers:
        port = free_port()
        more = {"PACELINE_FEED_URL": f"ws://127.0.0.1:{port}"}
        found = figures_of(_with_feed(servers.fresh(SHARDS), port, more, wanted), wanted.rate)
    show(found, wanted.json)
    return found


def _with_feed(
    servers: Servers, port: int, more: dict[str, str], wanted: argparse.Namespace
) -> dict[str, float]:
    settings = load(servers.environment(SHARDS) | more, servers.folder)
    children = {
        "exchange": multiprocessing.Process(target=_exchange_process, args=(port, wanted.rate)),
        "feed": multiprocessing.Process(target=_feed_process, args=(settings,)),
    }
    try:
        for child in children.values():
            child.start()
        pids = {name: child.pid for name, child in children.items() if child.pid is not None}
        return asyncio.run(measure(settings, wanted.seconds, pids))
    finally:
        for child in children.values():
            if child.pid is not None:
                child.terminate()
                child.join()


if __name__ == "__main__":
    main(sys.argv[1:])
