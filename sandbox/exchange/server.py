"""The exchange's socket: WebSocket clients, and over plain HTTP `GET /health` and `POST /misbehave`.

`POST /misbehave?what=garbage&count=5` (no body) orders misbehaviour (see `mischief`). The server pings
every `ping_interval_s` and drops a client it has not heard of for `silence_s`. A client that does not
read is dropped once `_MAX_UNSENT` bytes wait for it.
"""

import asyncio
import http
import logging
import time
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import msgspec
import structlog
from websockets.asyncio.server import Server, ServerConnection, broadcast, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from sandbox.exchange import memory as memories
from sandbox.exchange import recorded
from sandbox.exchange.mischief import Mischief, Order, parse_order
from sandbox.exchange.player import play_recording, play_walks
from sandbox.exchange.protocol import ProtocolError, Quote, parse_command
from sandbox.exchange.walk import MARKETS, Walk

log = structlog.get_logger("exchange")

# A probe that connects and leaves is no error worth a stack trace.
_sockets = logging.getLogger("sandbox.exchange.sockets")
_sockets.setLevel(logging.CRITICAL)

_MAX_UNSENT: Final = 8 << 20
_BUSY_UNSENT: Final = 256 << 10  # as fast as possible means: as long as less than this waits to be sent
_MAX_CLIENTS: Final = 256
_SAVE_EVERY_S: Final = 5.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the exchange plays. `speed` 0 plays recordings as fast as the clients read."""

    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 7
    rate_hz: float = 20.0
    feeds: tuple[Path, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    speed: float = 1.0
    memory_path: Path | None = None
    ping_interval_s: float = 60.0
    silence_s: float = 120.0
    misbehave: tuple[Order, ...] = ()


class Exchange:
    """One exchange. `async with Exchange(options) as exchange:` serves until the block ends."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._memory = memories.load(options.memory_path)
        self._mischief = Mischief()
        self._clients: dict[ServerConnection, set[str]] = {}
        self._frames = 0
        self._feeds = _claims(options.feeds, options.renamed)
        claimed = frozenset().union(*self._feeds.values()) if self._feeds else frozenset()
        self._walks = {
            market.symbol: Walk(market, options.seed, self._memory.prices.get(market.symbol))
            for market in MARKETS
            if market.symbol not in claimed
        }
        self._symbols = claimed | frozenset(self._walks)
        self._tasks: list[asyncio.Task[None]] = []
        self._server: Server | None = None

    @property
    def port(self) -> int:
        """The port it listens on, also where 0 was asked for."""
        assert self._server is not None
        return int(next(iter(self._server.sockets)).getsockname()[1])

    @property
    def url(self) -> str:
        return f"ws://{self._options.host}:{self.port}"

    async def __aenter__(self) -> "Exchange":
        options = self._options
        self._server = await serve(
            self._handle,
            options.host,
            options.port,
            process_request=self._http,
            compression=None,
            ping_interval=options.ping_interval_s,
            ping_timeout=max(options.silence_s - options.ping_interval_s, 0.01),
            close_timeout=1,
            max_size=64 << 10,
            logger=_sockets,
        )
        for order in options.misbehave:
            self.misbehave(order)
        self._tasks = [asyncio.create_task(work) for work in self._works()]
        log.info("exchange open", url=self.url, seed=options.seed, symbols=sorted(self._symbols))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()
        self._remember()

    async def run(self) -> None:
        """Until a player fails or the task is cancelled."""
        await asyncio.gather(*self._tasks)

    def _works(self) -> Iterator[Coroutine[object, object, None]]:
        options = self._options
        yield play_walks(self._walks, options.rate_hz, self._publish)
        for path, markets in self._feeds.items():
            yield play_recording(
                path,
                renamed=options.renamed,
                markets=markets,
                speed=options.speed,
                publish=self._publish,
                ready=self._ready,
            )
        yield self._keep_memory()

    def misbehave(self, order: Order) -> None:
        """Take an order to misbehave; a disconnection happens at once if somebody is there."""
        log.warning("misbehaving", what=order.what, count=order.count, seconds=order.seconds)
        self._mischief.add(order, time.monotonic())
        if order.what == "disconnect" and self._clients and self._mischief.takes("disconnect"):
            for client in list(self._clients):
                client.transport.abort()

    def _publish(self, quote: Quote) -> None:
        """Send a quote to whoever subscribed to its market; never waits."""
        update_id = self._memory.next_update_id()
        if self._mischief.stalls(time.monotonic()):
            return
        listeners = [client for client, symbols in self._clients.items() if quote.symbol in symbols]
        if not listeners:
            return
        for text in self._mischief.frames(quote, update_id, time.time_ns() // 1000):
            self._frames += 1
            for client in listeners:
                _send(client, text)

    async def _ready(self) -> None:
        """Wait until somebody listens and nobody lags: the pace of a recording played without pauses."""
        while True:
            await asyncio.sleep(0)
            unsent = [
                client.transport.get_write_buffer_size()
                for client, symbols in self._clients.items()
                if symbols
            ]
            if unsent and max(unsent) < _BUSY_UNSENT:
                return
            await asyncio.sleep(0.001)

    async def _handle(self, client: ServerConnection) -> None:
        if len(self._clients) >= _MAX_CLIENTS:
            await client.close(1013, "too many clients")
            return
        symbols = self._clients[client] = set()
        try:
            async for text in client:
                await self._command(client, symbols, text)
        except ConnectionClosed:
            pass  # however a client leaves, it is gone
        finally:
            del self._clients[client]

    async def _command(self, client: ServerConnection, symbols: set[str], text: str | bytes) -> None:
        try:
            subscription = parse_command(text, self._symbols)
        except ProtocolError as error:
            await client.send(error.reply)
            return
        if subscription.action == "UNSUBSCRIBE":
            symbols.difference_update(subscription.symbols)
            return
        symbols.update(subscription.symbols)
        if self._mischief.takes("disconnect"):
            client.transport.abort()

    def _http(self, _: ServerConnection, request: Request) -> Response | None:
        """Answer plain HTTP; `None` goes on with the WebSocket handshake."""
        url = urlsplit(request.path)
        if url.path == "/health" and request.method == "GET":
            return _json(http.HTTPStatus.OK, self._health())
        if url.path != "/misbehave":
            return None
        if request.method != "POST":
            return _json(http.HTTPStatus.METHOD_NOT_ALLOWED, {"error": "POST it"})
        try:
            order = parse_order(dict(parse_qsl(url.query, keep_blank_values=True, max_num_fields=8)))
        except ValueError as error:
            return _json(http.HTTPStatus.BAD_REQUEST, {"error": str(error)})
        self.misbehave(order)
        return _json(http.HTTPStatus.OK, asdict(order))

    def _health(self) -> dict[str, object]:
        return {
            "status": "ok",
            "clients": len(self._clients),
            "frames": self._frames,
            "symbols": sorted(self._symbols),
            "recorded": [path.name for path in self._feeds],
            "misbehaving": {what: left for what, left in self._mischief.left.items() if left},
        }

    async def _keep_memory(self) -> None:
        while True:
            await asyncio.sleep(_SAVE_EVERY_S)
            self._remember()

    def _remember(self) -> None:
        self._memory.prices |= {symbol: walk.price for symbol, walk in self._walks.items()}
        memories.save(self._options.memory_path, self._memory)


def _claims(feeds: tuple[Path, ...], renamed: Mapping[str, str]) -> dict[Path, frozenset[str]]:
    """The markets of each recording; `ValueError` where two recordings hold the same one."""
    claims: dict[Path, frozenset[str]] = {}
    for path in feeds:
        markets = recorded.symbols_in(path, renamed)
        for other, taken in claims.items():
            if markets & taken:
                both = ", ".join(sorted(markets & taken))
                raise ValueError(
                    f"{other.name} and {path.name} both hold {both}: play one of them, or rename by --symbol"
                )
        claims[path] = markets
    return claims


def _send(client: ServerConnection, text: str | bytes) -> None:
    """Queue a message without waiting; a client that does not read is cut off instead of filling memory."""
    if client.transport.get_write_buffer_size() > _MAX_UNSENT:
        log.warning("client does not read, dropped", client=str(client.remote_address))
        client.transport.abort()
        return
    with suppress(ConnectionClosed):
        broadcast((client,), text)


def _json(status: http.HTTPStatus, body: object) -> Response:
    content = msgspec.json.encode(body) + b"\n"
    headers = Headers(
        {"Content-Type": "application/json", "Content-Length": str(len(content)), "Connection": "close"}
    )
    return Response(status.value, status.phrase, headers, content)
