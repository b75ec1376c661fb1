"""How many requests are in the house at once: beyond, the answer is a quick "not now" instead of a queue.

A queue that grows faster than it is served answers everybody too late; who is told at once can come back.
"""

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from api.http.envelope import Problem, failure_body

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_RETRY_AFTER_S: Final = 1
_BUSY: Final = Problem("BUSY", "Too many requests are under way, and nothing was done. Try again.", {})
# Whether we live must be told however busy we are: who asks would start us again.
_ALWAYS: Final = ("/health", "/metrics")


class Bound:
    """The application `inside` for at most `at_once` requests; the others are answered 503."""

    def __init__(self, inside: "WSGIApplication", at_once: int) -> None:
        self._inside = inside
        self._free = threading.BoundedSemaphore(at_once)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith(_ALWAYS):
            return self._inside(environ, start_response)
        if not self._free.acquire(blocking=False):
            return _busy(environ, start_response)
        try:
            return self._inside(environ, start_response)
        finally:
            self._free.release()


def _busy(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    body = failure_body(_BUSY, environ)
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Retry-After", str(_RETRY_AFTER_S)),
    ]
    start_response("503 Service Unavailable", headers)
    return [body]
