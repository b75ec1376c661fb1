"""Contract of `Notifier`: the fake for unit tests, and Resend's adapter against the sandbox mailbox."""

import threading
from collections.abc import Iterator
from typing import Any, Protocol

import httpx
import pytest
from flask import Flask, Response, request
from werkzeug.serving import make_server

from paceline.adapters.notify.resend.client import ATTEMPTS, ResendNotifier
from paceline.core.errors import PermanentError, TransientError, UnknownError
from paceline.local.processes.ports import free_port
from paceline.ports.notifications import Mail, Notifier
from sandbox.mailbox.app import create_app
from sandbox.mailbox.store import Mailbox
from tests.support.fakes.notifications.notifier import FakeNotifier

MAIL = Mail(key="k1", to="ada@example.com", subject="Hello", text="plain", html="<p>rich</p>")


class Subject(Protocol):
    notifier: Notifier

    def delivered(self) -> list[tuple[str, str, str, str]]: ...


class Fake:
    def __init__(self) -> None:
        self.notifier = FakeNotifier()

    def delivered(self) -> list[tuple[str, str, str, str]]:
        return [(mail.to, mail.subject, mail.text, mail.html) for mail in self.notifier.mails]


class Resend:
    def __init__(self, url: str, box: Mailbox) -> None:
        self.notifier = ResendNotifier(url, "re_key", "Paceline <login@paceline.example>")
        self._box = box

    def delivered(self) -> list[tuple[str, str, str, str]]:
        mails = reversed(self._box.newest_first())
        return [(mail["to"][0], mail["subject"], mail["text"], mail["html"]) for mail in mails]


def served(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["fake", "resend"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    if request.param == "fake":
        yield Fake()
        return
    box = Mailbox()
    for url in served(create_app(box)):
        resend = Resend(url, box)
        yield resend
        resend.notifier.close()


def test_a_mail_is_delivered_with_all_fields(subject: Subject) -> None:
    assert subject.notifier.send(MAIL)
    assert subject.delivered() == [("ada@example.com", "Hello", "plain", "<p>rich</p>")]


def test_the_same_key_is_delivered_once(subject: Subject) -> None:
    again = Mail(key=MAIL.key, to=MAIL.to, subject=MAIL.subject, text=MAIL.text, html=MAIL.html)
    assert subject.notifier.send(MAIL) == subject.notifier.send(again)
    assert len(subject.delivered()) == 1


def test_another_key_is_another_mail(subject: Subject) -> None:
    other = Mail(key="k2", to=MAIL.to, subject=MAIL.subject, text=MAIL.text, html=MAIL.html)
    assert subject.notifier.send(MAIL) != subject.notifier.send(other)
    assert len(subject.delivered()) == 2


def test_an_invalid_address_raises_permanent_error(subject: Subject) -> None:
    with pytest.raises(PermanentError):
        subject.notifier.send(Mail(key="k3", to="unknown", subject="s", text="t", html="h"))
    assert subject.delivered() == []


# How the real adapter classifies failures.


@pytest.fixture
def failing(request: pytest.FixtureRequest) -> Iterator[tuple[str, list[str]]]:
    """A server that answers each request with the next status of its parameter, then with 200."""
    answers: list[tuple[int, dict[str, Any]]] = list(request.param)
    keys: list[str] = []
    app = Flask("failing")

    @app.post("/emails")
    def send() -> Response:
        keys.append(request_key())
        status, body = answers.pop(0) if answers else (200, {"id": "m1"})
        return Response(httpx.Response(status, json=body).content, status, mimetype="application/json")

    for url in served(app):
        yield url, keys


def request_key() -> str:
    return request.headers["Idempotency-Key"]


@pytest.mark.parametrize(
    "failing", [[(503, {}), (429, {"name": "rate_limit_exceeded"})]], indirect=True, ids=["two failures"]
)
def test_a_transient_failure_is_retried_with_the_same_key(failing: tuple[str, list[str]]) -> None:
    url, keys = failing
    assert sender(url).send(MAIL) == "m1"
    assert keys == ["k1"] * 3


@pytest.mark.parametrize(
    ("failing", "kind", "tries"),
    [
        ([(500, {})] * ATTEMPTS, UnknownError, ATTEMPTS),
        ([(429, {"name": "rate_limit_exceeded"})] * ATTEMPTS, TransientError, ATTEMPTS),
        ([(403, {"name": "invalid_api_key"})], PermanentError, 1),
        ([(422, {"name": "validation_error"})], PermanentError, 1),
        ([(200, {"no": "id"})] * ATTEMPTS, UnknownError, ATTEMPTS),
    ],
    indirect=["failing"],
)
def test_each_failure_raises_its_error_class(
    failing: tuple[str, list[str]], kind: type[Exception], tries: int
) -> None:
    url, keys = failing
    with pytest.raises(kind):
        sender(url).send(MAIL)
    assert len(keys) == tries


def test_a_refused_connection_raises_transient_error() -> None:
    with pytest.raises(TransientError):
        sender(f"http://127.0.0.1:{free_port()}").send(MAIL)


def sender(url: str) -> ResendNotifier:
    return ResendNotifier(url, "re_key", "Paceline <login@paceline.example>", timeout_s=2)
