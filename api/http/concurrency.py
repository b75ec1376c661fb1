"""Limits the number of concurrent requests: above it the response is 503 at once instead of a queue.

A queue that grows faster than it is served answers every client too late. A client that gets 503 can retry.
"""

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from api.http.envelope import ErrorDetails, error_body

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_RETRY_AFTER_S: Final = 1
_BUSY: Final = ErrorDetails("BUSY", "The API is busy, and this request is not executed. Try again.", {})
# Health checks must be answered at any load: a supervisor restarts an API that does not answer them.
_ALWAYS_ANSWERED: Final = ("/health", "/metrics")


class ConcurrencyLimiter:
    """Runs at most `max_requests` requests of `app` at a time; the others get 503."""

    def __init__(self, app: "WSGIApplication", max_requests: int) -> None:
        self._app = app
        self._free_slots = threading.BoundedSemaphore(max_requests)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith(_ALWAYS_ANSWERED):
            return self._app(environ, start_response)
        if not self._free_slots.acquire(blocking=False):
            return _busy_response(environ, start_response)
        try:
            return self._app(environ, start_response)
        finally:
            self._free_slots.release()


def _busy_response(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    body = error_body(_BUSY, environ)
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Retry-After", str(_RETRY_AFTER_S)),
    ]
    start_response("503 Service Unavailable", headers)
    return [body]
