"""The WSGI application on granian's event loop: its environment, its body, and who waits for whom."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import greenback

from api.rsgi import OnLoop, called, environ_of
from paceline.adapters.awaiting import wait_for

LONGEST = 10


class Headers:
    def __init__(self, *pairs: tuple[str, str]) -> None:
        self._pairs = pairs

    def items(self) -> tuple[tuple[str, str], ...]:
        return self._pairs

    def get(self, name: str, default: str) -> str:
        return dict(self._pairs).get(name, default)


@dataclass
class Scope:
    """A request as granian hands it over."""

    headers: Headers = field(default_factory=Headers)
    path: str = "/"
    query_string: str = ""
    client: str = "127.0.0.1:4711"
    server: str = "127.0.0.1:8000"
    method: str = "POST"
    scheme: str = "http"
    http_version: str = "1.1"


class Protocol:
    """Hands out a body in chunks, or whole, and keeps the answer."""

    def __init__(self, *chunks: bytes) -> None:
        self.left = list(chunks)
        self.answer: tuple[int, list[tuple[str, str]], bytes] | None = None

    async def __call__(self) -> bytes:
        chunks, self.left = self.left, []
        return b"".join(chunks)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.left:
            yield self.left.pop(0)

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.answer = status, headers, body


def echo(environ: Any, start_response: Any) -> list[bytes]:
    start_response("201 Created", [("X-Length", environ["CONTENT_LENGTH"])])
    return [environ["wsgi.input"].read(), b"!"]


async def answered(inside: Any, scope: Scope, protocol: Protocol) -> Any:
    await OnLoop(inside, LONGEST, lambda: None).__rsgi__(scope, protocol)  # type: ignore[arg-type]
    return protocol.answer


def test_the_environment_is_what_wsgi_promises() -> None:
    headers = Headers(
        ("host", "api.example"),
        ("content-type", "application/json"),
        ("content-length", "99"),
        ("x-twice", "1"),
        ("x-twice", "2"),
        ("cookie", "a=1"),
        ("cookie", "b=2"),
        ("transfer-encoding", "chunked"),
        ("x_csrf_token", "not mine"),
    )
    scope = Scope(headers, path="/é/%", query_string="q=%41", client="[::1]:4711")
    environ = environ_of(scope, b"{}")  # type: ignore[arg-type]
    assert environ["PATH_INFO"].encode("latin-1").decode() == "/é/%"
    assert (environ["QUERY_STRING"], environ["REQUEST_METHOD"]) == ("q=%41", "POST")
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("127.0.0.1", "8000")
    assert (environ["SERVER_PROTOCOL"], environ["REMOTE_ADDR"]) == ("HTTP/1.1", "::1")
    assert (environ["HTTP_HOST"], environ["HTTP_X_TWICE"]) == ("api.example", "1,2")
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert not {"HTTP_TRANSFER_ENCODING", "HTTP_CONTENT_LENGTH", "HTTP_X_CSRF_TOKEN"} & set(environ)
    assert (environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"]) == ("application/json", "2")
    assert environ["wsgi.input"].read() == b"{}"


def test_a_body_comes_whole_and_the_answer_too() -> None:
    for headers in (Headers(("content-length", "4")), Headers()):
        answer = asyncio.run(answered(echo, Scope(headers), Protocol(b"ab", b"cd")))
        assert answer == (201, [("X-Length", "4")], b"abcd!")


def test_of_a_body_that_is_too_long_no_more_is_read_than_to_see_that() -> None:
    for headers in (Headers(("content-length", "1000")), Headers(), Headers(("content-length", "x"))):
        protocol = Protocol(b"a" * 8, b"b" * 8, b"c" * 8)
        answer = asyncio.run(answered(echo, Scope(headers), protocol))
        headers_told = [("X-Length", str(LONGEST + 1)), ("Connection", "close")]
        assert answer == (201, headers_told, b"a" * 8 + b"bbb" + b"!")
        assert protocol.left == [b"c" * 8]


def test_who_waits_for_a_server_does_not_keep_the_others() -> None:
    def waiting(_: Any, start_response: Any) -> list[bytes]:
        wait_for(asyncio.sleep(0.2))
        start_response("204 No Content", [])
        return []

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*(answered(waiting, Scope(), Protocol()) for _ in range(20)))

    began = time.monotonic()
    assert asyncio.run(all_at_once()) == [(204, [], b"")] * 20
    assert time.monotonic() - began < 2


def test_an_answer_is_closed_when_it_has_been_read() -> None:
    class Parts:
        closed = False

        def __iter__(self) -> Iterator[bytes]:
            yield b"one"

        def close(self) -> None:
            self.closed = True

    parts = Parts()

    def inside(_: Any, start_response: Any) -> Parts:
        start_response("200 OK", [])
        return parts

    assert called(inside, {}) == (200, [], b"one")  # type: ignore[arg-type]
    assert parts.closed


def test_what_the_application_holds_is_let_go_on_its_own_loop() -> None:
    loop = asyncio.new_event_loop()
    seen: list[Any] = []

    async def closing() -> None:
        seen.append(asyncio.get_running_loop())

    OnLoop(echo, LONGEST, lambda: wait_for(closing())).__rsgi_del__(loop)
    loop.close()
    assert seen == [loop]
    assert not greenback.has_portal()
