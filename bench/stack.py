"""How long the platform takes to start, what it needs, and how fast an order is answered through HTTP.

    python -m bench.stack [--seconds 30] [--warm-up 45] [--orders 50] [--ticks 1000] [--json]

Starts a stack of its own by `paceline up`, on free ports and in a temporary folder. Orders go out at fixed
times whether or not the ones before were answered (open loop), so a stall is counted for all who met it.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from itertools import cycle

import psutil

from bench.figures import Figure, figures_as_json, quantile, show
from paceline.local.throwaway import Stack, stop, throwaway_stack
from sandbox.traders.api import Away, Member, Refused

_MEMBERS = 8
_SYMBOL = "BTC_USDC_PERP"


async def sign_in(stack: Stack, number: int) -> Member:
    """A member with a session and an open account."""
    settings = stack.settings
    member = Member(
        settings.api_url, settings.mail_api_url, f"bench-{number}@example.com", f"Bench {number}", None
    )
    await member.get("/account/balance/usd")
    return member


async def order_latencies(stack: Stack, orders_hz: float, seconds: float) -> tuple[list[float], int]:
    """Latency in ms of each order from the moment it was due, and how many were not answered 200."""
    members = [await sign_in(stack, number) for number in range(_MEMBERS)]
    latencies: list[float] = []
    failures = 0

    async def order(member: Member, side: str, due: float) -> None:
        nonlocal failures
        body = {"symbol": _SYMBOL, "side": side, "order_type": "market", "quantity": "0.001"}
        try:
            await member.post("/trade/order", body)
        except (Refused, Away):
            failures += 1
        latencies.append((time.perf_counter() - due) * 1e3)

    turns = cycle((member, side) for side in ("buy", "sell") for member in members)
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(int(orders_hz * seconds)):
            due = began + number / orders_hz
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(order(*next(turns), due))
    for member in members:
        await member.close()
    return latencies, failures


def resident_mb(stack: Stack) -> float:
    """Memory of all processes of the stack; shared pages are counted once where the kernel tells (PSS)."""
    root = psutil.Process(stack.process.pid)
    total = 0
    for process in [root, *root.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total / 1e6


def measure(orders_hz: float, ticks_hz: int, seconds: float, warm_up_s: float) -> list[Figure]:
    environment = {"PACELINE_EXCHANGE_RATE_HZ": str(ticks_hz), "PACELINE_SIGN_IN_RATE_PER_MINUTE": "600"}
    with throwaway_stack(environment=environment) as stack:
        # Until Kafka's JVM has compiled its code it needs three times the CPU; a platform runs for days.
        asyncio.run(order_latencies(stack, orders_hz, warm_up_s))
        latencies, failures = asyncio.run(order_latencies(stack, orders_hz, seconds))
        memory = resident_mb(stack)
        healthy_after_s = stack.healthy_after_s
        began = time.perf_counter()
        stop(stack.process)
        stopped_after_s = time.perf_counter() - began
    at = f"{orders_hz:g} orders/s, {ticks_hz} ticks/s"
    return [
        Figure("start until healthy, without Airflow", healthy_after_s, "s", 30),
        Figure("stop", stopped_after_s, "s", 20),
        Figure("memory of the stack, without Airflow", memory, "MB"),
        Figure(f"order to reply, p50 ({at})", quantile(latencies, 0.50), "ms", None, 15),
        Figure(f"order to reply, p99 ({at})", quantile(latencies, 0.99), "ms", None, 50),
        Figure("orders sent", len(latencies), "orders"),
        Figure("orders not filled", failures, "orders"),
    ]


def main(arguments: Sequence[str]) -> list[Figure]:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n", maxsplit=1)[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=30, help="how long to send orders")
    parser.add_argument("--warm-up", type=float, default=45, help="seconds of orders that are not counted")
    parser.add_argument("--orders", type=float, default=50, help="orders a second")
    parser.add_argument("--ticks", type=int, default=1000, help="price updates a second")
    figures_as_json(parser)
    options = parser.parse_args(arguments)
    figures = measure(options.orders, options.ticks, options.seconds, options.warm_up)
    show(figures, options.json)
    return figures


if __name__ == "__main__":
    main(sys.argv[1:])
