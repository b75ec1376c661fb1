"""The feed's link against exchanges of raw bytes: what one read holds, pings, goodbyes, proxies."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from sandbox.exchange.clients import framed
from stream.feed import link as links
from stream.feed.link import Link
from stream.feed.stats import Stats
from tests.support.waiting import until

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_server(talk: Talk) -> AsyncIterator[int]:
    """A server on a free port; each connection is handed to `talk` and closed after it."""
    talks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        try:
            # Cancelled, it ends all the same, for Python 3.11 complains of a cancelled talk.
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await talk(reader, writer)
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1")
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


async def shake_hands(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    request = await reader.readuntil(b"\r\n\r\n")
    key = next(line for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
    magic = key.split()[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(magic).digest())
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


@asynccontextmanager
async def linked(url: str, take: Callable[[bytes], bool], silence_s: float = 5.0) -> AsyncIterator[Stats]:
    stats = Stats()
    task = asyncio.create_task(Link(url, ("BTC_USDC_PERP",), silence_s, take, stats).run())
    try:
        yield stats
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def keep(taken: list[bytes]) -> Callable[[bytes], bool]:
    def take(frame: bytes) -> bool:
        taken.append(frame)
        return True

    return take


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "FIRST_PAUSE_S", 0.02)


async def test_frames_of_one_read_are_taken_in_one_turn_of_the_event_loop() -> None:
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

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shake_hands(reader, writer)
        await reader.read(1)  # it listens
        text_and_binary = [framed(frame if n % 2 else frame.decode()) for n, frame in enumerate(sent)]
        writer.write(b"".join(text_and_binary))
        await reader.read()

    async with raw_server(talk) as port, linked(f"ws://127.0.0.1:{port}", take):
        turn()
        await until(lambda: len(taken) == len(sent))
        assert [frame for _, frame in taken] == sent
        assert len({number for number, _ in taken}) == 1


async def test_a_frame_in_pieces_and_text_that_is_no_text_arrive_as_bytes() -> None:
    frame = framed(b"\xff" * 300)
    taken: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shake_hands(reader, writer)
        for piece in (frame[:1], frame[1:3], frame[3:200], frame[200:] + b"\x81\x01", b"\xfe"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)
        await reader.read()

    async with raw_server(talk) as port, linked(f"ws://127.0.0.1:{port}", keep(taken)):
        await until(lambda: len(taken) == 2)
    assert taken == [b"\xff" * 300, b"\xfe"]


async def test_an_exchange_that_answers_no_ping_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "_PING_S", 0.1)
    heard: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shake_hands(reader, writer)
        heard.append(await reader.read())  # all it says until it leaves

    async with raw_server(talk) as port, linked(f"ws://127.0.0.1:{port}", bool, silence_s=60) as stats:
        await until(lambda: stats.reconnects >= 1 and len(heard) >= 1)
    assert b"\x89\x80" in heard[0]  # a ping, masked and empty
    assert stats.silences == 0


async def test_a_message_beyond_the_limit_ends_the_connection_not_the_link() -> None:
    taken: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shake_hands(reader, writer)
        writer.write(framed(b"good") + b"\x82\x7f" + (2 << 20).to_bytes(8, "big"))
        await reader.read()

    async with (
        raw_server(talk) as port,
        linked(f"ws://127.0.0.1:{port}", keep(taken)) as stats,
    ):
        await until(lambda: stats.reconnects >= 1 and len(taken) >= 2)
    assert set(taken) == {b"good"}


async def test_a_goodbye_that_is_talked_over_does_not_hold_the_link_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Frames of no use, for ever, from an exchange that never answers the closing handshake."""
    monkeypatch.setattr(links, "_CLOSE_S", 0.1)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shake_hands(reader, writer)
        while True:
            writer.write(framed("chatter"))
            await writer.drain()
            await asyncio.sleep(0.01)

    async with (
        raw_server(talk) as port,
        linked(f"ws://127.0.0.1:{port}", lambda _: False, silence_s=0.1) as stats,
    ):
        await until(lambda: stats.reconnects >= 2)
    assert stats.silences >= 2


async def test_an_exchange_elsewhere_is_reached_through_the_proxy_for_https(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())

    async with raw_server(talk) as port:
        for name in ("no_proxy", "NO_PROXY", "HTTPS_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        async with linked("wss://exchange.invalid", bool):
            await until(lambda: len(asked) >= 1)
    assert asked[0].startswith(b"CONNECT exchange.invalid:443 ")


async def test_an_exchange_here_is_reached_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shake_hands(reader, writer)
        await reader.read()

    async with raw_server(talk) as port, linked(f"ws://127.0.0.1:{port}", bool) as stats:
        await until(lambda: stats.connected)
