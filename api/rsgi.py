"""Flask on one event loop: a request waits for servers without a thread of its own.

The application stays WSGI. Each request runs as a greenlet, and where it waits (`awaiting.wait_for`) the
loop turns to the others. RSGI is how granian hands requests to an event loop.
"""

import asyncio
import sys
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import greenback

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment
    from granian.rsgi import HTTPProtocol, Scope

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
_LEFT_OUT: Final = ("content-length", "transfer-encoding")
_names: Final[dict[str, str]] = {"content-type": "CONTENT_TYPE"}
_NAMES_REMEMBERED: Final = 256


class OnLoop:
    """The RSGI application around the WSGI application `inside`; `close` is called when the loop ends."""

    def __init__(self, inside: "WSGIApplication", longest_body: int, close: Callable[[], None]) -> None:
        self._inside = inside
        self._longest_body = longest_body
        self._close = close

    async def __rsgi__(self, scope: "Scope", protocol: "HTTPProtocol") -> None:
        body = await self._body(scope, protocol)
        environ = environ_of(scope, body)
        status, headers, answer = await greenback.with_portal_run_sync(called, self._inside, environ)
        if len(body) > self._longest_body:  # granian closes then, so say it
            headers.append(("Connection", "close"))
        protocol.response_bytes(status, headers, answer)

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.run_until_complete(greenback.with_portal_run_sync(self._close))

    async def _body(self, scope: "Scope", protocol: "HTTPProtocol") -> bytes:
        """At most one byte more than may be: enough to be refused by whoever looks at its length."""
        length = scope.headers.get("content-length", "")
        if length.isdecimal() and int(length) <= self._longest_body:
            whole: bytes = await protocol()
            return whole
        body: bytes = b""
        async for chunk in protocol:
            body += chunk
            if len(body) > self._longest_body:
                break
        return body[: self._longest_body + 1]


def environ_of(scope: "Scope", body: bytes) -> "WSGIEnvironment":
    """What PEP 3333 calls the environment. Its texts hold bytes as latin-1; headers sent twice are joined."""
    host, _, port = scope.server.rpartition(":")
    environ = _SAME | {
        "REQUEST_METHOD": scope.method,
        "PATH_INFO": scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string.encode().decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "REMOTE_ADDR": scope.client.rpartition(":")[0].strip("[]"),
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": BytesIO(body),
    }
    for name, value in scope.headers.items():
        if "_" in name or name in _LEFT_OUT:  # with an underscore it would pass for another
            continue
        key = _names.get(name) or _name(name)
        if key in environ:
            environ[key] += ("; " if key == "HTTP_COOKIE" else ",") + value
        else:
            environ[key] = value
    return environ


def _name(header: str) -> str:
    name = "HTTP_" + header.upper().replace("-", "_")
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
