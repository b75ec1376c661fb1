"""Limits the number of concurrent requests, and of each member: above it the response is 503 at once.

A queue that grows faster than it is served answers every client too late. A client that gets 503 can retry.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, cast

from flask import Flask, current_app

from api.http.envelope import ErrorDetails, error_body
from paceline.core.errors import TransientError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_EXTENSION: Final = "paceline.member_slots"
_RETRY_AFTER_S: Final = 1
_BUSY: Final = ErrorDetails("BUSY", "The API is busy, and this request is not executed. Try again.", {})
# Health checks must be answered at any load: a supervisor restarts an API that does not answer them.
_ALWAYS_ANSWERED: Final = ("/health", "/metrics")


def is_always_answered(path: str) -> bool:
    """Whether requests of this path are outside the limit."""
    return path.startswith(_ALWAYS_ANSWERED)


class ConcurrencyLimiter:
    """Runs at most `max_requests` requests of `app` at a time; the others get 503."""

    def __init__(self, app: "WSGIApplication", max_requests: int) -> None:
        self._app = app
        self._free_slots = threading.BoundedSemaphore(max_requests)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if is_always_answered(environ["PATH_INFO"]):
            return self._app(environ, start_response)
        if not self._free_slots.acquire(blocking=False):
            return _busy_response(environ, start_response)
        try:
            return self._app(environ, start_response)
        finally:
            self._free_slots.release()


class MemberSlots:
    """Lets each account have at most a quarter of the API's requests in progress, and at least one."""

    def __init__(self, max_requests: int) -> None:
        self.per_account = max(1, max_requests // 4)
        self._used: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """The number of accounts with requests in progress."""
        return len(self._used)

    @contextmanager
    def hold(self, account: str) -> Iterator[None]:
        """Take a slot for the duration of a request; `TransientError` if the account has all of its slots."""
        with self._lock:
            if self._used[account] >= self.per_account:
                raise TransientError(
                    f"The account has {self.per_account} requests in progress, and may not have more. "
                    "Wait for an answer, then try again.",
                    code="BUSY",
                )
            self._used[account] += 1
        try:
            yield
        finally:
            with self._lock:
                self._used[account] -= 1
                if not self._used[account]:
                    del self._used[account]


def install(app: Flask, max_requests: int) -> None:
    app.extensions[_EXTENSION] = MemberSlots(max_requests)


def member_slots() -> MemberSlots:
    """The slots of the current application."""
    return cast(MemberSlots, current_app.extensions[_EXTENSION])


def _busy_response(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    body = error_body(_BUSY, environ)
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Retry-After", str(_RETRY_AFTER_S)),
    ]
    start_response("503 Service Unavailable", headers)
    return [body]
