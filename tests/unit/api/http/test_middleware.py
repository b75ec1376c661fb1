"""What stands around every request: id, safe headers, a line in the log; and a bound on them."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from werkzeug.test import Client, TestResponse

from api.http.concurrency import Bound
from api.http.middleware import ACCOUNT, Front


def told(environ: Any, start_response: Any) -> list[bytes]:
    """An application that answers with nothing special, and knows who asks."""
    environ[ACCOUNT] = "a1"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"half ", b"and half"]


def cached(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Cache-Control", "public, max-age=60")])
    return []


class Held:
    """An application whose requests stay until they are let go."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.let_go = threading.Event()

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/slow":
            self.entered.release()
            assert self.let_go.wait(10)
        if environ["PATH_INFO"] == "/broken":
            raise ZeroDivisionError
        start_response("200 OK", [])
        return [b"done"]


class Bystander:
    """A body that must be closed, as WSGI has it."""

    def __init__(self) -> None:
        self.closed = False

    def __call__(self, environ: Any, start_response: Any) -> "Bystander":
        start_response("200 OK", [])
        return self

    def __iter__(self) -> Iterator[bytes]:
        yield b"x"

    def close(self) -> None:
        self.closed = True


def test_an_answer_comes_whole_with_each_header_once() -> None:
    answer = Client(Front(told)).get("/")
    assert (answer.status_code, answer.text) == (200, "half and half")
    names = [name.lower() for name, _ in answer.headers]
    assert len(names) == len(set(names))
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert len(answer.headers["X-Request-ID"]) == 32
    assert "Strict-Transport-Security" not in answer.headers


def test_what_says_how_long_it_keeps_is_kept() -> None:
    assert Client(Front(cached)).get("/").headers["Cache-Control"] == "public, max-age=60"


def test_over_tls_browsers_are_told_to_stay_there() -> None:
    answer = Client(Front(told)).get("/", base_url="https://localhost")
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_a_body_is_closed() -> None:
    inside = Bystander()
    assert Client(Front(inside)).get("/").data == b"x"
    assert inside.closed


def test_the_line_says_who_asked_for_what_without_the_query() -> None:
    with structlog.testing.capture_logs() as lines:
        Client(Front(told)).post("/caf\u00e9?token=secret", headers={"X-Request-ID": "mine"})
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
    held.let_go.set()


def test_beyond_the_bound_the_answer_is_a_quick_503(held: Held) -> None:
    client = Client(Front(Bound(held, 2)))
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
    held.let_go.set()
    for thread in threads:
        thread.join(10)
    assert [answer.status_code for answer in found] == [200, 200]
    assert client.get("/slow").status_code == 200


def test_a_request_that_breaks_leaves_its_place(held: Held) -> None:
    client = Client(Front(Bound(held, 1)))
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            client.get("/broken")
    assert client.get("/").status_code == 200
