"""Flask on one event loop: a request waits for servers without a thread of its own.

The application stays WSGI. Each request runs as a greenlet, and where it waits (`awaiting.wait_for`) the
loop turns to the others. ASGI is how uvicorn hands requests to an application on its event loop.
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

_SAME: Final[dict[str, Any]] = {
    "SCRIPT_NAME": "",
    "wsgi.version": (1, 0),
    "wsgi.errors": sys.stderr,
    "wsgi.input_terminated": True,
    "wsgi.multithread": False,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}
# The body is whole when it gets here, however it came.
_LEFT_OUT: Final = (b"content-length", b"transfer-encoding")
_names: Final[dict[bytes, str]] = {b"content-type": "CONTENT_TYPE"}
_NAMES_REMEMBERED: Final = 256
# Of a body that is too long so much is read and dropped: who sends it still hears the answer. A connection
# closed on unread bytes is reset.
_DROPPED: Final = 1 << 20


class OnLoop:
    """The ASGI application around the WSGI application `inside`; `close` is called when the server stops."""

    def __init__(self, inside: "WSGIApplication", longest_body: int, close: Callable[[], None]) -> None:
        self._inside = inside
        self._longest_body = longest_body
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        body = await self._body(receive)
        if body is None:
            return  # whoever asked has gone
        environ = environ_of(scope, body)
        status, headers, answer = await greenback.with_portal_run_sync(called, self._inside, environ)
        if len(body) > self._longest_body:
            headers.append(("Connection", "close"))
        pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": answer})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await greenback.with_portal_run_sync(self._close)
        await send({"type": "lifespan.shutdown.complete"})

    async def _body(self, receive: Receive) -> bytes | None:
        """At most one byte more than may be: enough to be refused by whoever looks at its length."""
        body, length, more = b"", 0, True
        while more and length <= _DROPPED:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            chunk, more = message["body"], message["more_body"]
            length += len(chunk)
            if len(body) <= self._longest_body:
                body += chunk
        return body[: self._longest_body + 1]


def environ_of(scope: Scope, body: bytes) -> "WSGIEnvironment":
    """What PEP 3333 calls the environment. Its texts hold bytes as latin-1; headers sent twice are joined."""
    host, port = scope["server"]
    environ = _SAME | {
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
        if b"_" in name or name in _LEFT_OUT:  # with an underscore it would pass for another
            continue
        key, text = _names.get(name) or _name(name), value.decode("latin-1")
        if key in environ:
            environ[key] += ("; " if key == "HTTP_COOKIE" else ",") + text
        else:
            environ[key] = text
    return environ


def _name(header: bytes) -> str:
    name = "HTTP_" + header.decode("latin-1").upper().replace("-", "_")
    if len(_names) < _NAMES_REMEMBERED:
        _names[header] = name
    return name


def called(inside: "WSGIApplication", environ: "WSGIEnvironment") -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, headers and all of the body that a WSGI application answers."""
    status, headers = 500, []

    def start(line: str, given: list[tuple[str, str]], _failed: Any = None, /) -> Any:
        nonlocal status, headers
        status, headers = int(line[:3]), given

    parts: Iterable[bytes] = inside(environ, start)
    try:
        return status, headers, b"".join(parts)
    finally:
        if hasattr(parts, "close"):
            parts.close()
