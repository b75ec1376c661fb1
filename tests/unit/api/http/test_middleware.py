"""The middleware of every request: request id, security headers, log line; and the concurrency limit."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from werkzeug.test import Client, TestResponse

from api.http.concurrency import ConcurrencyLimiter, MemberSlots
from api.http.middleware import ACCOUNT, RequestMiddleware
from paceline.core.errors import TransientError


def plain_app(environ: Any, start_response: Any) -> list[bytes]:
    """An application that sets the account of the request and returns a plain text."""
    environ[ACCOUNT] = "a1"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"half ", b"and half"]


def cached(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Cache-Control", "public, max-age=60")])
    return []


class Held:
    """An application whose slow requests block until `release` is set."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.release = threading.Event()

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/slow":
            self.entered.release()
            assert self.release.wait(10)
        if environ["PATH_INFO"] == "/broken":
            raise ZeroDivisionError
        start_response("200 OK", [])
        return [b"done"]


class ClosableBody:
    """A body with a `close` method, which WSGI requires to be called."""

    def __init__(self) -> None:
        self.closed = False

    def __call__(self, environ: Any, start_response: Any) -> "ClosableBody":
        start_response("200 OK", [])
        return self

    def __iter__(self) -> Iterator[bytes]:
        yield b"x"

    def close(self) -> None:
        self.closed = True


def test_an_answer_is_complete_with_each_header_once() -> None:
    answer = Client(RequestMiddleware(plain_app)).get("/")
    assert (answer.status_code, answer.text) == (200, "half and half")
    names = [name.lower() for name, _ in answer.headers]
    assert len(names) == len(set(names))
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert len(answer.headers["X-Request-ID"]) == 32
    assert "Strict-Transport-Security" not in answer.headers


def test_an_existing_cache_control_header_is_kept() -> None:
    assert Client(RequestMiddleware(cached)).get("/").headers["Cache-Control"] == "public, max-age=60"


def test_hsts_is_sent_over_tls() -> None:
    answer = Client(RequestMiddleware(plain_app)).get("/", base_url="https://localhost")
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_the_body_is_closed() -> None:
    inside = ClosableBody()
    assert Client(RequestMiddleware(inside)).get("/").data == b"x"
    assert inside.closed


def test_the_log_line_has_account_and_path_without_the_query() -> None:
    with structlog.testing.capture_logs() as lines:
        Client(RequestMiddleware(plain_app)).post("/caf\u00e9?token=secret", headers={"X-Request-ID": "mine"})
    [line] = lines
    assert line.pop("duration_ms") >= 0
    assert line == {
        "event": "request",
        "log_level": "info",
        "method": "POST",
        "path": "/caf\u00e9",
        "status": 200,
        "account": "a1",
    }


@pytest.fixture
def held() -> Iterator[Held]:
    held = Held()
    yield held
    held.release.set()


def test_requests_beyond_the_limit_get_503_at_once(held: Held) -> None:
    client = Client(RequestMiddleware(ConcurrencyLimiter(held, 2)))
    found: list[TestResponse] = []
    threads = [threading.Thread(target=lambda: found.append(client.get("/slow"))) for _ in range(2)]
    for thread in threads:
        thread.start()
        assert held.entered.acquire(timeout=10)
    busy = client.get("/slow")
    assert (busy.status_code, busy.headers["Retry-After"]) == (503, "1")
    assert busy.json is not None
    assert (busy.json["success"], busy.json["error"]["code"]) == (False, "BUSY")
    assert busy.json["meta"]["requestId"] == busy.headers["X-Request-ID"]
    assert [client.get(path).status_code for path in ("/health/live", "/metrics")] == [200, 200]
    held.release.set()
    for thread in threads:
        thread.join(10)
    assert [answer.status_code for answer in found] == [200, 200]
    assert client.get("/slow").status_code == 200


def test_an_account_has_a_quarter_of_the_requests() -> None:
    slots = MemberSlots(8)
    with slots.hold("a"), slots.hold("a"), slots.hold("b"):
        with pytest.raises(TransientError, match="has 2 requests in progress") as caught, slots.hold("a"):
            pass
        assert (caught.value.code, caught.value.retry_after_s) == ("BUSY", 1)
    with slots.hold("a"):
        assert len(slots) == 1
    assert len(slots) == 0


def test_an_account_always_has_one_request_and_a_failed_one_frees_it() -> None:
    slots = MemberSlots(1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), slots.hold("a"):
            raise ZeroDivisionError
    with slots.hold("a"), pytest.raises(TransientError), slots.hold("a"):
        pass
    assert len(slots) == 0


def test_a_failed_request_frees_its_slot(held: Held) -> None:
    client = Client(RequestMiddleware(ConcurrencyLimiter(held, 1)))
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            client.get("/broken")
    assert client.get("/").status_code == 200
