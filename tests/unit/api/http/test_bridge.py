"""The WSGI application on uvicorn's event loop: environment, body, concurrency and shutdown."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import greenback

from api.http.bridge import WsgiBridge, call_wsgi, wsgi_environ
from paceline.adapters.runtime.awaiting import wait_for

LONGEST = 10


def scope_of(*headers: tuple[str, str], **changes: Any) -> dict[str, Any]:
    """A request as uvicorn hands it over."""
    return {
        "type": "http",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        "path": "/",
        "query_string": b"",
        "client": ("127.0.0.1", 4711),
        "server": ("127.0.0.1", 8000),
        "method": "POST",
        "scheme": "http",
        "http_version": "1.1",
    } | changes


class Connection:
    """Sends a body in chunks and records the answer. Disconnects after `left_after` chunks."""

    def __init__(self, *chunks: bytes, left_after: int | None = None) -> None:
        self.chunks = list(chunks or (b"",))
        self.left_after = left_after
        self.answer: list[Any] = []

    async def receive(self) -> dict[str, Any]:
        if self.left_after == 0:
            return {"type": "http.disconnect"}
        if self.left_after is not None:
            self.left_after -= 1
        return {"type": "http.request", "body": self.chunks.pop(0), "more_body": bool(self.chunks)}

    async def send(self, message: dict[str, Any]) -> None:
        self.answer.append(message)


def echo(environ: Any, start_response: Any) -> list[bytes]:
    start_response("201 Created", [("X-Length", environ["CONTENT_LENGTH"])])
    return [environ["wsgi.input"].read(), b"!"]


async def answered(inside: Any, connection: Connection) -> Any:
    """Status, headers and body of the answer, or None."""
    await WsgiBridge(inside, LONGEST, lambda: None)(scope_of(), connection.receive, connection.send)
    if not connection.answer:
        return None
    start, body = connection.answer
    return start["status"], start["headers"], body["body"]


def test_the_environment_follows_wsgi() -> None:
    scope = scope_of(
        ("host", "api.example"),
        ("content-type", "application/json"),
        ("content-length", "99"),
        ("x-twice", "1"),
        ("x-twice", "2"),
        ("cookie", "a=1"),
        ("cookie", "b=2"),
        ("transfer-encoding", "chunked"),
        ("x_csrf_token", "not mine"),
        path="/é/%",
        query_string=b"q=%41",
        client=("::1", 4711),
    )
    environ = wsgi_environ(scope, b"{}")
    assert environ["PATH_INFO"].encode("latin-1").decode() == "/é/%"
    assert (environ["QUERY_STRING"], environ["REQUEST_METHOD"]) == ("q=%41", "POST")
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("127.0.0.1", "8000")
    assert (environ["SERVER_PROTOCOL"], environ["REMOTE_ADDR"]) == ("HTTP/1.1", "::1")
    assert (environ["HTTP_HOST"], environ["HTTP_X_TWICE"]) == ("api.example", "1,2")
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert not {"HTTP_TRANSFER_ENCODING", "HTTP_CONTENT_LENGTH", "HTTP_X_CSRF_TOKEN"} & set(environ)
    assert (environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"]) == ("application/json", "2")
    assert environ["wsgi.input"].read() == b"{}"


def test_a_chunked_body_and_its_answer_are_complete() -> None:
    answer = asyncio.run(answered(echo, Connection(b"ab", b"cd")))
    assert answer == (201, [(b"X-Length", b"4")], b"abcd!")


def test_a_too_long_body_is_cut_and_the_connection_closed() -> None:
    answer = asyncio.run(answered(echo, Connection(b"a" * 8, b"b" * 8, b"c" * 8)))
    headers = [(b"X-Length", b"%d" % (LONGEST + 1)), (b"Connection", b"close")]
    assert answer == (201, headers, b"a" * 8 + b"bbb" + b"!")


def test_only_a_bounded_part_of_an_endless_body_is_read() -> None:
    connection = Connection(*[b"x" * (1 << 18)] * 20)
    assert asyncio.run(answered(echo, connection))[2] == b"x" * (LONGEST + 1) + b"!"
    assert len(connection.chunks) == 15


def test_a_client_that_disconnects_during_the_body_gets_no_answer() -> None:
    assert asyncio.run(answered(echo, Connection(b"a", b"b", left_after=1))) is None


def test_a_waiting_request_does_not_block_others() -> None:
    def waiting(_: Any, start_response: Any) -> list[bytes]:
        wait_for(asyncio.sleep(0.2))
        start_response("204 No Content", [])
        return []

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*(answered(waiting, Connection()) for _ in range(20)))

    began = time.monotonic()
    assert asyncio.run(all_at_once()) == [(204, [], b"")] * 20
    assert time.monotonic() - began < 2


def test_an_answer_is_closed_after_it_was_read() -> None:
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

    assert call_wsgi(inside, {}) == (200, [], b"one")  # type: ignore[arg-type]
    assert parts.closed


def test_shutdown_closes_the_application_on_its_own_loop() -> None:
    seen: list[Any] = []

    async def closing() -> None:
        seen.append(asyncio.get_running_loop())

    async def live() -> asyncio.AbstractEventLoop:
        events = iter(({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}))
        answers: list[str] = []

        async def receive() -> dict[str, Any]:
            return next(events)

        async def send(message: dict[str, Any]) -> None:
            answers.append(message["type"])

        await WsgiBridge(echo, LONGEST, lambda: wait_for(closing()))({"type": "lifespan"}, receive, send)
        assert answers == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
        return asyncio.get_running_loop()

    assert [asyncio.run(live())] == seen
    assert not greenback.has_portal()
