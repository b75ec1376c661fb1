"""Flask on one event loop: a request waits for servers without its own thread.

The application is WSGI. Each request runs as a greenlet. While it waits (`awaiting.wait_for`), the event
loop runs other requests. uvicorn passes requests to the application by ASGI.
"""

import sys
from collections.abc import Awaitable, Callable, Iterable
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import greenback

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_CONSTANT_ENVIRON: Final[dict[str, Any]] = {
    "SCRIPT_NAME": "",
    "wsgi.version": (1, 0),
    "wsgi.errors": sys.stderr,
    "wsgi.input_terminated": True,
    "wsgi.multithread": False,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}
# The body is complete here, so these headers no longer apply.
_IGNORED_HEADERS: Final = (b"content-length", b"transfer-encoding")
_environ_names: Final[dict[bytes, str]] = {b"content-type": "CONTENT_TYPE"}
_MAX_CACHED_NAMES: Final = 256
# Up to this many bytes of a body that is too long are read and dropped, so that the client gets the answer.
# A connection that is closed with unread bytes is reset.
_MAX_DROPPED_BYTES: Final = 1 << 20


class WsgiBridge:
    """An ASGI application that runs the WSGI application `app`. `close` is called when the server stops."""

    def __init__(self, app: "WSGIApplication", max_body: int, close: Callable[[], None]) -> None:
        self._app = app
        self._max_body = max_body
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        body = await self._read_body(receive)
        if body is None:
            return  # the client has disconnected
        environ = wsgi_environ(scope, body)
        status, headers, answer = await greenback.with_portal_run_sync(call_wsgi, self._app, environ)
        if len(body) > self._max_body:
            headers.append(("Connection", "close"))
        pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": answer})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await greenback.with_portal_run_sync(self._close)
        await send({"type": "lifespan.shutdown.complete"})

    async def _read_body(self, receive: Receive) -> bytes | None:
        """The body, `None` after a disconnect. One byte over the limit is kept, so that Flask refuses it."""
        body, length, more = b"", 0, True
        while more and length <= _MAX_DROPPED_BYTES:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            chunk, more = message["body"], message["more_body"]
            length += len(chunk)
            if len(body) <= self._max_body:
                body += chunk
        return body[: self._max_body + 1]


def wsgi_environ(scope: Scope, body: bytes) -> "WSGIEnvironment":
    """The WSGI environment (PEP 3333). Strings hold bytes as latin-1; repeated headers are joined."""
    host, port = scope["server"]
    environ = _CONSTANT_ENVIRON | {
        "REQUEST_METHOD": scope["method"],
        "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": scope["client"][0],
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": BytesIO(body),
    }
    for name, value in scope["headers"]:
        if b"_" in name or name in _IGNORED_HEADERS:  # with an underscore it could pose as another header
            continue
        key, text = _environ_names.get(name) or _environ_name(name), value.decode("latin-1")
        if key in environ:
            environ[key] += ("; " if key == "HTTP_COOKIE" else ",") + text
        else:
            environ[key] = text
    return environ


def _environ_name(header: bytes) -> str:
    name = "HTTP_" + header.decode("latin-1").upper().replace("-", "_")
    if len(_environ_names) < _MAX_CACHED_NAMES:
        _environ_names[header] = name
    return name


def call_wsgi(app: "WSGIApplication", environ: "WSGIEnvironment") -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, headers and complete body of the response of a WSGI application."""
    status, headers = 500, []

    def start(line: str, given_headers: list[tuple[str, str]], _failed: Any = None, /) -> Any:
        nonlocal status, headers
        status, headers = int(line[:3]), given_headers

    parts: Iterable[bytes] = app(environ, start)
    try:
        return status, headers, b"".join(parts)
    finally:
        if hasattr(parts, "close"):
            parts.close()
