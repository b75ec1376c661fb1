"""The API under uvicorn: one process with one event loop."""

import asyncio
import gc
import signal
from functools import partial
from typing import Any, Final

import structlog
import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api import MAX_BODY_BYTES, close, create_app
from api.http.bridge import OnLoop
from paceline.adapters.runtime.logs import set_up_logs
from paceline.settings import Settings

_log = structlog.get_logger("api")

_STOP_S: Final = 8
# Above what load balancers and clients keep an idle connection, so that they, not we, close it first.
_IDLE_S: Final = 75
_BACKLOG: Final = 1024
_LONGEST_HEAD: Final = 64 << 10
_ARRIVES_WITHIN_S: Final = 30


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; requests under way are finished, for at most a few seconds."""
    set_up_logs("api")
    app = create_app(settings)
    gc.collect()
    gc.freeze()  # what is imported stays: collections need not look at it
    on_loop = OnLoop(app, MAX_BODY_BYTES, partial(close, app))
    _log.info("serving", address=settings.bind_host, port=settings.api_port)
    serve_asgi(on_loop, settings.bind_host, settings.api_port)


def serve_asgi(application: OnLoop, address: str, port: int) -> None:
    """Serve an application in this process until it is told to stop."""
    for stop in (signal.SIGINT, signal.SIGTERM):
        # uvicorn handles them while it serves, and raises them again afterwards: that was a clean end.
        signal.signal(stop, lambda *_: None)
    config = uvicorn.Config(
        application,
        host=address,
        port=port,
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # an address is that of the connection, whatever a header says
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=_STOP_S,
    )
    uvloop.run(uvicorn.Server(config).serve())


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's, with bounds that it leaves open: on a request's head, and on the time it takes to arrive."""

    _arrival: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _in_head = True

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > _LONGEST_HEAD:
            self.send_400_response(f"A request's head may have {_LONGEST_HEAD} bytes.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._cancel()
        self._in_head, self._head_bytes = True, 0
        super().on_message_complete()

    def _expect(self) -> None:
        if self._arrival is None:
            self._arrival = self.loop.call_later(_ARRIVES_WITHIN_S, self._late)

    def _cancel(self) -> None:
        if self._arrival is not None:
            self._arrival.cancel()
            self._arrival = None

    def _late(self) -> None:
        self._arrival = None
        self.transport.close()
