"""The connection to the exchange: subscribe, listen, and reconnect when it breaks or becomes silent."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final
from urllib.parse import urlsplit

import msgspec
import structlog
from aiohttp import ClientError, ClientSession, ClientWebSocketResponse, WSMsgType

from paceline.adapters.runtime.retry import pause_of, reason_of, reconnecting
from stream.feed.stats import FeedStats

log = structlog.get_logger("feed")

FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 15.0
STABLE_S: Final = 10.0
_PING_S: Final = 20.0
_OPEN_S: Final = 10.0
_CLOSE_S: Final = 1.0
_MAX_MESSAGE: Final = 1 << 20
_FRAMES: Final = (WSMsgType.TEXT, WSMsgType.BINARY)

TakeFrame = Callable[[bytes], bool]


class SilentExchange(Exception):
    """The exchange is connected but sends no usable frame."""


class ConnectionClosed(Exception):
    """The connection has ended, closed by the exchange or broken."""


class ExchangeConnection:
    """Gives each frame to `take`, which returns whether it is usable: only usable frames end a silence."""

    def __init__(
        self, url: str, symbols: tuple[str, ...], silence_s: float, take: TakeFrame, stats: FeedStats
    ) -> None:
        self._url = url
        self._subscribe = msgspec.json.encode(
            {"method": "SUBSCRIBE", "params": [f"bookTicker.{symbol}" for symbol in symbols]}
        ).decode()
        self._silence_s = silence_s
        self._take = take
        self._stats = stats
        self._last_usable_s = 0.0

    async def run(self) -> None:
        """Run until cancelled. The pause between attempts grows until a connection has lasted `STABLE_S`."""
        await reconnecting(
            on=(OSError, ClientError, SilentExchange, ConnectionClosed),
            first_s=FIRST_PAUSE_S,
            longest_s=LONGEST_PAUSE_S,
            stable_s=STABLE_S,
            report=lambda state: log.warning(
                "exchange lost", url=self._url, why=reason_of(state), again_in_s=pause_of(state)
            ),
        )(self._session)

    async def _session(self) -> None:
        """One connection, until it breaks; ends only with an error."""
        try:
            async with _open(self._url) as socket:
                await socket.send_str(self._subscribe)
                self._stats.connected = True
                self._stats.connections += 1
                self._last_usable_s = asyncio.get_running_loop().time()
                log.info("exchange connected", url=self._url, connection=self._stats.connections)
                await self._listen(socket)
        finally:
            self._stats.connected = False

    async def _listen(self, socket: ClientWebSocketResponse[bool]) -> None:
        """Take frames. One timer per silence, not per frame: when it ends, check the time of the last frame.

        `receive` waits only if no frame has arrived: frames that came in one read are taken in one turn of
        the event loop.
        """
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout_at(self._last_usable_s + self._silence_s):
                    while True:
                        message = await socket.receive()
                        if message.type not in _FRAMES:
                            raise ConnectionClosed(_close_reason(*message))
                        if self._take(message.data):
                            self._last_usable_s = loop.time()
            except TimeoutError:
                if loop.time() - self._last_usable_s >= self._silence_s:
                    self._stats.silences += 1
                    raise SilentExchange(f"no usable frame for {self._silence_s:g} s") from None


@asynccontextmanager
async def _open(url: str) -> AsyncIterator[ClientWebSocketResponse[bool]]:
    """A WebSocket whose frames are bytes, text or not. After `_PING_S` without data it sends a ping, and it
    closes when no data comes for half that time after."""
    local = urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
    # With an HTTP scheme, because for `wss` aiohttp looks for the proxy in `wss_proxy`, which is never set.
    http_url = "http" + url.removeprefix("ws")
    session = ClientSession(trust_env=not local)
    async with AsyncExitStack() as exits:
        exits.push_async_callback(_close_in_time, session.close)
        async with asyncio.timeout(_OPEN_S):
            socket = await session.ws_connect(
                http_url, heartbeat=_PING_S, max_msg_size=_MAX_MESSAGE, decode_text=False
            )
        exits.push_async_callback(_close_in_time, socket.close)
        yield socket


async def _close_in_time(close: Callable[[], Awaitable[object]]) -> None:
    """Close within `_CLOSE_S`: aiohttp waits for the close frame's answer as long as other frames come."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_CLOSE_S):
            await close()


def _close_reason(kind: WSMsgType, data: object, reason: object) -> str:
    """Why a connection has ended, from the message that came instead of a frame."""
    if kind is WSMsgType.CLOSE:
        return f"closed by the exchange: {data} {reason}".rstrip()
    if kind is WSMsgType.ERROR:
        return str(data)
    return "the connection is broken"
