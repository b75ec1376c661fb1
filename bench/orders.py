"""Sends orders at fixed times, answered or not (open loop): a stall counts for all orders in it.

The load generator shares the cores with the platform, so requests are prepared bytes and only the status of
an answer is parsed, by a C parser: half the cost of a full client. It has the priority of the order path,
because a client on another machine would not wait for these cores.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Final, NamedTuple, cast
from urllib.parse import urlsplit

import httptools
import msgspec
import uvloop

from bench.figures import Figure, quantile
from bench.servers import priority_of
from bench.steal_time import StealTime, Window, not_counted, windows

Sender = Mapping[str, str]
"""The headers that identify a member."""

_ANSWER_TIMEOUT_S: Final = 30


class Answers(NamedTuple):
    """Milliseconds of each order from its due time, and the number of orders not answered with 200."""

    latencies: list[float]
    failures: int


class _Connection(asyncio.Protocol):
    """One request at a time over a kept-alive connection."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._status: asyncio.Future[int] | None = None
        self._transport: asyncio.Transport | None = None

    async def ask(self, request: bytes) -> int:
        """The status of the answer. `OSError` if the connection breaks first."""
        assert self._transport is not None
        self._status = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._status

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports have another base class

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._status is not None and not self._status.done():
            self._status.set_exception(exc or ConnectionResetError("closed before the answer"))

    def on_message_complete(self) -> None:
        status, self._status = self._status, None
        code = self._parser.get_status_code()
        if not self._parser.should_keep_alive():
            self.close()
        self._parser = httptools.HttpResponseParser(self)
        if status is not None and not status.done():
            status.set_result(code)

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()


def _encoded(url: str, sender: Sender, body: Mapping[str, str]) -> bytes:
    place, content = urlsplit(url), msgspec.json.encode(body)
    lines = [
        f"POST {place.path} HTTP/1.1",
        f"Host: {place.netloc}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        *(f"{name}: {value}" for name, value in sender.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + content


async def order_latencies(
    url: str, bodies: Sequence[Mapping[str, str]], senders: Sequence[Sender], orders_hz: float, seconds: float
) -> Answers:
    """Send orders at a fixed rate; every sender sends every body in turn."""
    place, loop = urlsplit(url), asyncio.get_running_loop()
    host, port = place.hostname, place.port
    assert host
    assert port
    turns = cycle([_encoded(url, sender, body) for body in bodies for sender in senders])
    latencies: list[float] = []
    failures = 0
    idle: list[_Connection] = []

    async def order(request: bytes, due: float) -> None:
        nonlocal failures
        connection: _Connection | None = None
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                while idle and not (connection and connection.is_open):
                    connection = idle.pop()
                if connection is None or not connection.is_open:
                    _, connection = await loop.create_connection(_Connection, host, port)
                failures += await connection.ask(request) != 200
            idle.append(connection)
        except (OSError, TimeoutError):
            failures += 1
            if connection is not None:
                connection.close()
        latencies.append((time.perf_counter() - due) * 1e3)

    with priority_of("api"):  # a real client does not wait for the cores of the server
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(int(orders_hz * seconds)):
                due = began + number / orders_hz
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                group.create_task(order(next(turns), due))
    for connection in idle:
        connection.close()
    return Answers(latencies, failures)


@dataclass(frozen=True)
class OrderTimes:
    """Milliseconds of the counted window, and the number of orders not answered with 200 in all windows."""

    latencies: list[float]
    failures: int
    taken: StealTime
    disturbed: list[Window[Answers]]

    def p99_not_counted(self, name: str) -> list[Figure]:
        """The p99 of windows that the host disturbed."""
        return [
            Figure(not_counted(name, window.taken), quantile(window.measured.latencies, 0.99), "ms")
            for window in self.disturbed
        ]


def order_times(
    url: str, bodies: Sequence[Mapping[str, str]], senders: Sequence[Sender], orders_hz: float, seconds: float
) -> OrderTimes:
    """Like `order_latencies`, repeated up to six times while the host takes much of the cores."""
    seen = windows(lambda: uvloop.run(order_latencies(url, bodies, senders, orders_hz, seconds)), 6)
    counted, *disturbed = seen
    failures = sum(window.measured.failures for window in seen)
    return OrderTimes(counted.measured.latencies, failures, counted.taken, disturbed)
