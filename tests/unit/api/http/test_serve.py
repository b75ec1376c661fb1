"""Limits of the HTTP server for requests that are not complete."""

import asyncio
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from api.http import serve

HEAD = b"GET / HTTP/1.1\r\nHost: api.example\r\n"


async def hello(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    while (await receive())["more_body"]:
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"hi"})


async def exchange(*parts: bytes, pause_s: float = 0.0) -> bytes:
    """Send bytes and return all that the server sends until it closes, or half a second later."""
    config = uvicorn.Config(hello, http=serve.BoundedProtocol, log_config=None)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: serve.BoundedProtocol(config, state, {}, loop), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        said = bytearray()

        async def listen() -> None:
            while chunk := await reader.read(1024):
                said.extend(chunk)
            said.extend(b"(closed)")

        listening = asyncio.create_task(listen())
        for part in parts:
            writer.write(part)
            await asyncio.sleep(pause_s)
        await asyncio.wait([listening], timeout=0.5)
        listening.cancel()
        writer.close()
    return bytes(said)


def test_each_request_on_a_connection_is_answered() -> None:
    post = HEAD.replace(b"GET", b"POST") + b"Content-Length: 3\r\n\r\nabc"
    said = asyncio.run(exchange(HEAD + b"\r\n" + post, HEAD + b"\r\n", pause_s=0.05))
    assert said.count(b"200 OK") == 3
    assert b"(closed)" not in said


def test_a_too_long_head_is_refused() -> None:
    filler = b"X-Filler: " + b"x" * 8_000 + b"\r\n"
    assert asyncio.run(exchange(HEAD, *[filler] * 3, b"\r\n")).count(b"200 OK") == 1
    said = asyncio.run(exchange(HEAD, *[filler] * 9))
    assert said.startswith(b"HTTP/1.1 400 ")
    assert b"head of a request is limited to 65536 bytes" in said
    assert said.endswith(b"(closed)")


def test_a_body_may_be_longer_than_a_head() -> None:
    body = b"Content-Length: 100000\r\n\r\n" + b"x" * 100_000
    assert b"200 OK" in asyncio.run(exchange(HEAD.replace(b"GET", b"POST") + body, HEAD + b"\r\n"))


@pytest.mark.parametrize("sent", [b"", HEAD, HEAD.replace(b"GET", b"POST") + b"Content-Length: 3\r\n\r\na"])
def test_an_unfinished_request_is_disconnected_after_the_timeout(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "_RECEIVE_TIMEOUT_S", 0.1)
    assert asyncio.run(exchange(sent)) == b"(closed)"


def test_the_timeout_does_not_apply_between_complete_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "_RECEIVE_TIMEOUT_S", 0.1)
    said = asyncio.run(exchange(HEAD + b"\r\n", HEAD + b"\r\n", pause_s=0.3))
    assert said.count(b"200 OK") == 2
