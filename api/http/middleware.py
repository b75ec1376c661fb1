"""Adds to every request an id, security headers and a log line.

It is WSGI middleware, because Flask's hooks and header objects would cost more than all the rest.
"""

import re
import time
from collections.abc import Iterable
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

import structlog

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Keys in the WSGI environment, for the application.
REQUEST_ID: Final = "paceline.request_id"
ACCOUNT: Final = "paceline.account"
RESPONSE_HEADERS: Final = "paceline.response_headers"

_HEADER: Final = "X-Request-ID"
_REQUEST_ID_FORM: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
# Swagger UI sets inline styles; scripts come from this host only.
_CONTENT_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_SECURITY_HEADERS: Final = (
    ("Content-Security-Policy", _CONTENT_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
_NO_STORE: Final = ("Cache-Control", "no-store")
_HSTS: Final = ("Strict-Transport-Security", "max-age=31536000")
_log = structlog.get_logger()


class RequestMiddleware:
    """Middleware around `app`. The complete response is in memory."""

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        began_s = time.perf_counter()
        given = environ.get("HTTP_X_REQUEST_ID", "")
        request_id = given if _REQUEST_ID_FORM.fullmatch(given) else token_hex(16)
        environ[REQUEST_ID] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        status, headers, body = _response(self._app, environ)
        headers.extend(environ.get(RESPONSE_HEADERS, ()))
        headers.extend(_SECURITY_HEADERS)
        headers.append((_HEADER, request_id))
        if not any(name == _NO_STORE[0] for name, _ in headers):
            headers.append(_NO_STORE)
        if environ["wsgi.url_scheme"] == "https":
            headers.append(_HSTS)
        start_response(status, headers)
        _log_request(environ, int(status[:3]), began_s)
        return [body]


def _response(app: "WSGIApplication", environ: "WSGIEnvironment") -> tuple[str, list[tuple[str, str]], bytes]:
    """Status, headers and complete body."""
    started: Any = None

    def start(status: str, headers: list[tuple[str, str]], _failed: Any = None, /) -> Any:
        nonlocal started
        started = status, headers

    parts = app(environ, start)
    try:
        body = b"".join(parts)
    finally:
        if hasattr(parts, "close"):
            parts.close()
    return *started, body


def _log_request(environ: "WSGIEnvironment", status: int, began_s: float) -> None:
    path: str = environ["PATH_INFO"]
    line = {
        "method": environ["REQUEST_METHOD"],
        # The query is left out: it may hold a sign-in token.
        "path": path if path.isascii() else path.encode("latin-1").decode(errors="replace"),
        "status": status,
        "duration_ms": round((time.perf_counter() - began_s) * 1000, 2),
    }
    if ACCOUNT in environ:
        line["account"] = environ[ACCOUNT]
    _log.info("request", **line)
