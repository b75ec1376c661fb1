"""The exchange's server: WebSocket clients, and `GET /health` and `POST /misbehave` over plain HTTP.

`POST /misbehave?what=garbage&count=5` (no body) injects faults (see `mischief`). The server pings every
`ping_interval_s` and disconnects a client that sent nothing for `silence_s`. A client that does not read is
disconnected once `MAX_UNSENT` bytes wait for it.
"""

import asyncio
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import msgspec
import structlog
from aiohttp import WSCloseCode, WSMsgType, web

from sandbox.exchange import recordings as recorded
from sandbox.exchange import state as memories
from sandbox.exchange.clients import Client, framed
from sandbox.exchange.faults import FaultRequest, Faults, parse_fault_request
from sandbox.exchange.player import play_recording, play_walks
from sandbox.exchange.protocol import ProtocolError, Quote, parse_command
from sandbox.exchange.walk import MARKETS, Walk

log = structlog.get_logger("exchange")

_SLOW_CLIENT_BYTES: Final = 256 << 10  # at speed 0 a recording waits while a client has so many unsent bytes
_MAX_CLIENTS: Final = 256
_MAX_COMMAND_BYTES: Final = 64 << 10
_SAVE_EVERY_S: Final = 5.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the exchange. `speed` 0 plays recordings as fast as the clients read."""

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
    misbehave: tuple[FaultRequest, ...] = ()


class Exchange:
    """An exchange. `async with Exchange(options) as exchange:` serves until the block ends."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._memory = memories.load(options.memory_path)
        self._faults = Faults()
        self._clients: set[Client] = set()
        self._flush_is_due = False
        self._frames = 0
        self._recordings = _markets_by_recording(options.feeds, options.renamed)
        recorded_markets = frozenset().union(*self._recordings.values()) if self._recordings else frozenset()
        self._walks = {
            market.symbol: Walk(market, options.seed, self._memory.prices.get(market.symbol))
            for market in MARKETS
            if market.symbol not in recorded_markets
        }
        self._symbols = recorded_markets | frozenset(self._walks)
        self._tasks: list[asyncio.Task[None]] = []
        self._runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=1)

    @property
    def port(self) -> int:
        """The port it listens on, also if the option was 0."""
        return int(self._runner.addresses[0][1])

    @property
    def url(self) -> str:
        return f"ws://{self._options.host}:{self.port}"

    async def __aenter__(self) -> "Exchange":
        options = self._options
        await self._runner.setup()
        await web.TCPSite(self._runner, options.host, options.port).start()
        for request in options.misbehave:
            self.misbehave(request)
        self._tasks = [asyncio.create_task(work) for work in self._players()]
        log.info("exchange started", url=self.url, seed=options.seed, symbols=sorted(self._symbols))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(client.close(WSCloseCode.GOING_AWAY, "") for client in self._clients))
        await self._runner.cleanup()
        self._save_memory()

    async def run(self) -> None:
        """Wait until a player fails or the task is cancelled."""
        await asyncio.gather(*self._tasks)

    def _players(self) -> Iterator[Coroutine[object, object, None]]:
        options = self._options
        yield play_walks(self._walks, options.rate_hz, self._publish)
        for path, markets in self._recordings.items():
            yield play_recording(
                path,
                renamed=options.renamed,
                markets=markets,
                speed=options.speed,
                publish=self._publish,
                ready=self._clients_ready,
            )
        yield self._keep_memory()

    def misbehave(self, request: FaultRequest) -> None:
        """Inject a fault. A disconnection happens at once if a client is connected."""
        log.warning("fault injected", what=request.what, count=request.count, seconds=request.seconds)
        self._faults.add(request, time.monotonic())
        if request.what == "disconnect" and self._clients and self._faults.consume("disconnect"):
            for client in self._clients:
                client.cut()

    def _publish(self, quotes: Sequence[Quote]) -> None:
        """Queue quotes for the clients that subscribed to their markets. All quotes of one turn of the event
        loop are sent together at its end."""
        now_us = time.time_ns() // 1000
        stalled = self._faults.is_stalled(time.monotonic())
        for quote in quotes:
            update_id = self._memory.next_update_id(now_us)
            if stalled:
                continue
            listeners = [client for client in self._clients if quote.symbol in client.symbols]
            if not listeners:
                continue
            for message in self._faults.frames(quote, update_id, now_us):
                self._frames += 1
                frame = framed(message)
                for client in listeners:
                    client.queue(frame)
        if not self._flush_is_due:
            self._flush_is_due = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_is_due = False
        for client in self._clients:
            client.flush()

    async def _clients_ready(self) -> None:
        """Wait until a client is subscribed and none is slow. It sets the pace of a recording at speed 0."""
        while True:
            await asyncio.sleep(0)
            unsent = [client.unsent for client in self._clients if client.symbols]
            if unsent and max(unsent) < _SLOW_CLIENT_BYTES:
                return
            await asyncio.sleep(0.001)

    def _app(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [
                web.get("/", self._serve_client),
                web.get("/health", self._serve_health),
                web.post("/misbehave", self._serve_misbehave),
            ]
        )
        return app

    async def _serve_client(self, request: web.Request) -> web.WebSocketResponse[bool]:
        # Pings and pongs are handled here, because they show that the client is alive.
        socket = web.WebSocketResponse[bool](autoping=False, compress=False, max_msg_size=_MAX_COMMAND_BYTES)
        await socket.prepare(request)
        if len(self._clients) >= _MAX_CLIENTS:
            await socket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=b"too many clients")
            return socket
        assert request.transport is not None
        client = Client(socket, request.transport)
        options = self._options
        pings = asyncio.create_task(client.keep_alive(options.ping_interval_s, options.silence_s))
        self._clients.add(client)
        try:
            async for message in socket:
                client.heard_s = asyncio.get_running_loop().time()
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    await self._handle_command(client, message.data)
                elif message.type is WSMsgType.PING:
                    await socket.pong(message.data)
        except ConnectionError:
            pass  # a client may leave without a closing handshake
        finally:
            self._clients.discard(client)
            pings.cancel()
        return socket

    async def _handle_command(self, client: Client, text: str | bytes) -> None:
        try:
            subscription = parse_command(text, self._symbols)
        except ProtocolError as error:
            await client.socket.send_str(error.reply)
            return
        if subscription.action == "UNSUBSCRIBE":
            client.symbols.difference_update(subscription.symbols)
            return
        client.symbols.update(subscription.symbols)
        if self._faults.consume("disconnect"):
            client.cut()

    async def _serve_health(self, _: web.Request) -> web.Response:
        return _json(200, self._health())

    async def _serve_misbehave(self, request: web.Request) -> web.Response:
        try:
            fault = parse_fault_request(dict(request.query))
        except ValueError as error:
            return _json(400, {"error": str(error)})
        self.misbehave(fault)
        return _json(200, asdict(fault))

    def _health(self) -> dict[str, object]:
        return {
            "status": "ok",
            "clients": len(self._clients),
            "frames": self._frames,
            "symbols": sorted(self._symbols),
            "recorded": [path.name for path in self._recordings],
            "misbehaving": dict(self._faults.remaining),
        }

    async def _keep_memory(self) -> None:
        while True:
            await asyncio.sleep(_SAVE_EVERY_S)
            self._save_memory()

    def _save_memory(self) -> None:
        self._memory.prices |= {symbol: walk.price for symbol, walk in self._walks.items()}
        memories.save(self._options.memory_path, self._memory)


def _markets_by_recording(feeds: tuple[Path, ...], renamed: Mapping[str, str]) -> dict[Path, frozenset[str]]:
    """The markets of each recording. `ValueError` if two recordings have the same market."""
    found: dict[Path, frozenset[str]] = {}
    for path in feeds:
        markets = recorded.symbols_in(path, renamed)
        for other, other_markets in found.items():
            if markets & other_markets:
                common = ", ".join(sorted(markets & other_markets))
                raise ValueError(
                    f"{other.name} and {path.name} both have {common}: play only one, or rename with --symbol"
                )
        found[path] = markets
    return found


def _json(status: int, body: object) -> web.Response:
    content = msgspec.json.encode(body) + b"\n"
    return web.Response(status=status, body=content, content_type="application/json")
