"""Benchmark of the platform: start, stop, memory, and the time of an order over HTTP.

    python -m bench.stack [--seconds 30] [--warm-up 90] [--orders 50 --ticks 1000] [--shards 4]

It starts a stack with `paceline up` for each load, on free ports and in a temporary folder. The limit is the
empty path: the same servers and hops without the platform's work (`bench.empty_path`).
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil
import uvloop

from bench import empty_path
from bench.core import reference_loop
from bench.figures import Figure, add_json_option, quantile, show
from bench.orders import Sender, order_latencies, order_times
from paceline.local.stack.throwaway import Stack, stop, throwaway_stack
from paceline.settings import settings
from sandbox.traders.api import ApiClient

_MEMBERS = 8
_BODIES = [
    {"symbol": "BTC_USDC_PERP", "side": side, "order_type": "market", "quantity": "0.001"}
    for side in ("buy", "sell")
]


@dataclass(frozen=True)
class Load:
    """Orders and prices per second, and the targets for p50 and p99 of the answer, in ms."""

    orders_hz: float
    ticks_hz: int
    musts_ms: tuple[float | None, float | None] = (None, None)
    aims_ms: tuple[float | None, float | None] = (None, None)


_LOADS = (Load(50, 1_000, aims_ms=(15, 50)), Load(200, 5_000, musts_ms=(8, 25), aims_ms=(4, 8)))


async def sign_in(stack: Stack, number: int) -> ApiClient:
    """A member with a session and an open account."""
    settings = stack.settings
    member = ApiClient(
        settings.api_url, settings.mail_api_url, f"bench-{number}@example.com", f"Bench {number}", None
    )
    await member.get("/account/balance/usd")
    return member


async def signed_in(stack: Stack) -> list[Sender]:
    """The headers of `_MEMBERS` members, each with a session and an open account."""
    members = [await sign_in(stack, number) for number in range(_MEMBERS)]
    for member in members:
        await member.close()
    return [
        {
            "Cookie": "; ".join(f"{name}={value}" for name, value in member.session.cookies.items()),
            "X-CSRF-TOKEN": member.session.csrf_token,
        }
        for member in members
    ]


def resident_mb(stack: Stack) -> float:
    """Memory of all processes of the stack in MB (PSS: shared pages are counted once)."""
    root = psutil.Process(stack.process.pid)
    total = 0
    for process in [root, *root.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total / 1e6


def measure(load: Load, shards: int, seconds: float, warm_up_s: float) -> list[Figure]:
    environment = {
        "PACELINE_EXCHANGE_RATE_HZ": str(load.ticks_hz),
        "PACELINE_SIGN_IN_RATE_PER_MINUTE": "600",
        "PACELINE_ENGINE_SHARDS": str(shards),
        # A few members send the orders of many.
        "PACELINE_ORDERS_PER_SECOND": "10000",
        "PACELINE_ORDERS_BURST": "10000",
        "PACELINE_ORDERS_PER_DAY": "10000000",
    }
    with throwaway_stack(environment=environment) as stack:
        members = asyncio.run(signed_in(stack))
        order_arguments = (f"{stack.settings.api_url}/api/v1/trade/order", _BODIES, members, load.orders_hz)
        # Kafka's JVM needs three times the CPU until it has compiled its code; a real platform runs for days.
        uvloop.run(order_latencies(*order_arguments, warm_up_s))
        orders = order_times(*order_arguments, seconds)
        memory = resident_mb(stack)
        healthy_after_s = stack.healthy_after_s
        began = time.perf_counter()
        stop(stack.process)
        stopped_after_s = time.perf_counter() - began
    yardstick = reference_loop(1)
    empty = empty_path.measure(load.orders_hz, load.ticks_hz, seconds, warm_up_s, shards)
    at = f"({load.orders_hz:g} orders/s, {load.ticks_hz} ticks/s)"
    times = [
        Figure(f"order to reply, {name} {at}", quantile(orders.latencies, share), "ms", must, aim,
               limit.value, "the empty path of an order")
        for name, share, must, aim, limit in zip(
            ("p50", "p99"), (0.50, 0.99), load.musts_ms, load.aims_ms, empty, strict=False
        )
    ]  # fmt: skip
    return [
        yardstick,
        *times,
        orders.taken.figure(f"order to reply {at}"),
        *orders.p99_not_counted(f"order to reply, p99 {at}"),
        Figure(f"orders not filled {at}", orders.failures, "orders"),
        Figure("start until healthy, without Airflow", healthy_after_s, "s", 30),
        Figure("stop", stopped_after_s, "s", 20),
        Figure("memory of the stack, without Airflow", memory, "MB"),
        *empty[2:],
    ]


def main(arguments: Sequence[str]) -> list[Figure]:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n", maxsplit=1)[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=30, help="how long to send orders")
    parser.add_argument("--warm-up", type=float, default=90, help="seconds of uncounted orders before")
    parser.add_argument("--orders", type=float, help="orders per second, instead of the default loads")
    parser.add_argument("--ticks", type=int, default=1000, help="price updates per second, with --orders")
    parser.add_argument("--shards", type=int, default=settings().engine_shards, help="shards of the engine")
    add_json_option(parser)
    options = parser.parse_args(arguments)
    loads = _LOADS if options.orders is None else (Load(options.orders, options.ticks),)
    figures: list[Figure] = []
    for load in loads:
        figures += measure(load, options.shards, options.seconds, options.warm_up)
    show(figures, options.json)
    return figures


if __name__ == "__main__":
    main(sys.argv[1:])
