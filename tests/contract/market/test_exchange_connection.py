"""The feed's link against servers that write raw bytes: reads, pings, closing, proxies."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from sandbox.exchange.clients import framed
from stream.feed import exchange as links
from stream.feed.exchange import ExchangeConnection
from stream.feed.stats import FeedStats
from tests.support.waiting import until

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_server(handler: Handler) -> AsyncIterator[int]:
    """A server on a free port. It calls `handler` for each connection and then closes it."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            # Cancellation is suppressed because Python 3.11 reports a cancelled handler as an error.
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await handler(reader, writer)
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1")
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def accept_websocket(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    request = await reader.readuntil(b"\r\n\r\n")
    key = next(line for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
    magic = key.split()[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(magic).digest())
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


@asynccontextmanager
async def running_link(
    url: str, take: Callable[[bytes], bool], silence_s: float = 5.0
) -> AsyncIterator[FeedStats]:
    stats = FeedStats()
    task = asyncio.create_task(ExchangeConnection(url, ("BTC_USDC_PERP",), silence_s, take, stats).run())
    try:
        yield stats
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def collect_into(taken: list[bytes]) -> Callable[[bytes], bool]:
    def take(frame: bytes) -> bool:
        taken.append(frame)
        return True

    return take


@pytest.fixture(autouse=True)
def short_reconnect_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "FIRST_PAUSE_S", 0.02)


async def test_all_frames_of_one_read_are_handled_in_one_event_loop_iteration() -> None:
    sent = [b"frame %d" % number for number in range(50)]
    taken: list[tuple[int, bytes]] = []
    turns = 0

    def turn() -> None:
        nonlocal turns
        turns += 1
        asyncio.get_running_loop().call_soon(turn)

    def take(frame: bytes) -> bool:
        taken.append((turns, frame))
        return True

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_websocket(reader, writer)
        await reader.read(1)  # wait until the client listens
        text_and_binary = [framed(frame if n % 2 else frame.decode()) for n, frame in enumerate(sent)]
        writer.write(b"".join(text_and_binary))
        await reader.read()

    async with raw_server(handler) as port, running_link(f"ws://127.0.0.1:{port}", take):
        turn()
        await until(lambda: len(taken) == len(sent))
        assert [frame for _, frame in taken] == sent
        assert len({number for number, _ in taken}) == 1


async def test_a_split_frame_and_invalid_utf8_text_arrive_as_bytes() -> None:
    frame = framed(b"\xff" * 300)
    taken: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_websocket(reader, writer)
        for piece in (frame[:1], frame[1:3], frame[3:200], frame[200:] + b"\x81\x01", b"\xfe"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)
        await reader.read()

    async with raw_server(handler) as port, running_link(f"ws://127.0.0.1:{port}", collect_into(taken)):
        await until(lambda: len(taken) == 2)
    assert taken == [b"\xff" * 300, b"\xfe"]


async def test_the_link_reconnects_when_pings_are_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "_PING_S", 0.1)
    heard: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_websocket(reader, writer)
        heard.append(await reader.read())  # everything sent until it disconnects

    async with (
        raw_server(handler) as port,
        running_link(f"ws://127.0.0.1:{port}", bool, silence_s=60) as stats,
    ):
        await until(lambda: stats.reconnects >= 1 and len(heard) >= 1)
    assert b"\x89\x80" in heard[0]  # a ping, masked and empty
    assert stats.silences == 0


async def test_an_oversized_message_ends_the_connection_and_the_link_reconnects() -> None:
    taken: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_websocket(reader, writer)
        writer.write(framed(b"good") + b"\x82\x7f" + (2 << 20).to_bytes(8, "big"))
        await reader.read()

    async with (
        raw_server(handler) as port,
        running_link(f"ws://127.0.0.1:{port}", collect_into(taken)) as stats,
    ):
        await until(lambda: stats.reconnects >= 1 and len(taken) >= 2)
    assert set(taken) == {b"good"}


async def test_an_unanswered_closing_handshake_does_not_block_the_link(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The server sends useless frames forever and never answers the closing handshake."""
    monkeypatch.setattr(links, "_CLOSE_S", 0.1)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_websocket(reader, writer)
        while True:
            writer.write(framed("chatter"))
            await writer.drain()
            await asyncio.sleep(0.01)

    async with (
        raw_server(handler) as port,
        running_link(f"ws://127.0.0.1:{port}", lambda _: False, silence_s=0.1) as stats,
    ):
        await until(lambda: stats.reconnects >= 2)
    assert stats.silences >= 2


async def test_a_remote_exchange_is_reached_through_the_https_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())

    async with raw_server(handler) as port:
        for name in ("no_proxy", "NO_PROXY", "HTTPS_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        async with running_link("wss://exchange.invalid", bool):
            await until(lambda: len(asked) >= 1)
    assert asked[0].startswith(b"CONNECT exchange.invalid:443 ")


async def test_a_local_exchange_is_reached_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_websocket(reader, writer)
        await reader.read()

    async with raw_server(handler) as port, running_link(f"ws://127.0.0.1:{port}", bool) as stats:
        await until(lambda: stats.connected)
