"""Orders sent at fixed times, answered or not (open loop): a stall counts for all who met it."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from itertools import cycle

import aiohttp
import msgspec

Sender = Mapping[str, str]
"""The headers that make a request one of somebody's."""


async def order_latencies(
    url: str, bodies: Sequence[Mapping[str, str]], senders: Sequence[Sender], orders_hz: float, seconds: float
) -> tuple[list[float], int]:
    """Milliseconds of each order from the moment it was due, and how many were not answered 200.

    Every sender sends every body in turn. The client is aiohttp, whose own time is a tenth of httpx's.
    """
    encoded = [msgspec.json.encode(body) for body in bodies]
    turns = cycle([(sender, body) for body in encoded for sender in senders])
    latencies: list[float] = []
    failures = 0

    async def order(http: aiohttp.ClientSession, sender: Sender, body: bytes, due: float) -> None:
        nonlocal failures
        headers = {"Content-Type": "application/json", **sender}
        try:
            async with http.post(url, data=body, headers=headers) as answer:
                await answer.read()
                failures += answer.status != 200
        except (aiohttp.ClientError, TimeoutError):
            failures += 1
        latencies.append((time.perf_counter() - due) * 1e3)

    wait = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=wait, cookie_jar=aiohttp.DummyCookieJar()) as http:
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(int(orders_hz * seconds)):
                due = began + number / orders_hz
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                group.create_task(order(http, *next(turns), due))
    return latencies, failures
