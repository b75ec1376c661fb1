"""The API under uvicorn: one process with one event loop."""

import asyncio
import gc
import signal
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import structlog
import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api import MAX_BODY_BYTES, close, create_app
from api.http.bridge import WsgiBridge
from paceline.adapters.runtime.logs import set_up_logs
from paceline.settings import Settings

_log = structlog.get_logger("api")

_STOP_S: Final = 8
# Longer than load balancers and clients keep an idle connection, so that they close it first.
_KEEP_ALIVE_S: Final = 75
_BACKLOG: Final = 1024
_MAX_HEAD_BYTES: Final = 64 << 10
_RECEIVE_TIMEOUT_S: Final = 30


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM. Open requests have at most `_STOP_S` seconds to finish."""
    set_up_logs("api")
    app = create_app(settings)
    gc.collect()
    gc.freeze()  # imported modules stay in memory: the garbage collector need not scan them
    bridge = WsgiBridge(app, MAX_BODY_BYTES, partial(close, app))
    _log.info("serving", address=settings.bind_host, port=settings.api_port)
    serve_asgi(bridge, settings.bind_host, settings.api_port, settings.trusted_proxies)


def serve_asgi(application: WsgiBridge, address: str, port: int, trusted_proxies: Sequence[str] = ()) -> None:
    """Serve an application in this process until SIGINT or SIGTERM."""
    for stop in (signal.SIGINT, signal.SIGTERM):
        # uvicorn handles the signal and raises it again after a clean stop: ignore it then.
        signal.signal(stop, lambda *_: None)
    uvloop.run(uvicorn.Server(server_config(application, address, port, trusted_proxies)).serve())


def server_config(
    application: WsgiBridge, address: str, port: int, trusted_proxies: Sequence[str]
) -> uvicorn.Config:
    """uvicorn's configuration.

    `X-Forwarded-For` and `X-Forwarded-Proto` count only if the connection comes from one of
    `trusted_proxies`. Otherwise the client address is that of the connection.
    """
    return uvicorn.Config(
        application,
        host=address,
        port=port,
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_STOP_S,
    )


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with two more limits: the size of a request's head and the time to receive it."""

    _timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _in_head = True

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > _MAX_HEAD_BYTES:
            self.send_400_response(f"The head of a request is limited to {_MAX_HEAD_BYTES} bytes.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._start_timer()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._cancel_timer()
        self._in_head, self._head_bytes = True, 0
        super().on_message_complete()

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(_RECEIVE_TIMEOUT_S, self._timed_out)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _timed_out(self) -> None:
        self._timer = None
        self.transport.close()
