"""The connection to the exchange: subscribe, listen, and come back whenever it breaks or falls silent."""

import asyncio
import random
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

import msgspec
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from stream.feed.stats import Stats

log = structlog.get_logger("feed")

FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 15.0
STABLE_S: Final = 10.0
_PING_S: Final = 20.0
_MAX_MESSAGE: Final = 1 << 20

TakeFrame = Callable[[bytes], bool]


class Silence(Exception):
    """The exchange is connected and says nothing of use."""


def pause_s(attempt: int, draw: float) -> float:
    """Seconds before attempt `attempt` (from 0): doubling, bounded, with jitter from `draw` in [0, 1)."""
    longest_s: float = min(FIRST_PAUSE_S * 2 ** min(attempt, 16), LONGEST_PAUSE_S)
    return longest_s * (0.5 + draw / 2)


class Link:
    """Hands each frame to `take`, which tells whether it was of use: only such frames break a silence."""

    def __init__(
        self, url: str, symbols: tuple[str, ...], silence_s: float, take: TakeFrame, stats: Stats
    ) -> None:
        self._url = url
        self._subscribe = msgspec.json.encode(
            {"method": "SUBSCRIBE", "params": [f"bookTicker.{symbol}" for symbol in symbols]}
        ).decode()
        self._silence_s = silence_s
        self._take = take
        self._stats = stats
        self._heard_s = 0.0

    async def run(self) -> None:
        """For ever. The pause between attempts grows until a connection has held for `STABLE_S`."""
        loop = asyncio.get_running_loop()
        attempt = 0
        while True:
            began_s = loop.time()
            try:
                await self._session()
            except (OSError, WebSocketException, Silence) as error:
                why = str(error) or type(error).__name__
            finally:
                self._stats.connected = False
            attempt = 0 if loop.time() - began_s > STABLE_S else attempt + 1
            wait_s = pause_s(attempt, random.random())
            log.warning("exchange lost", url=self._url, why=why, again_in_s=round(wait_s, 2))
            await asyncio.sleep(wait_s)

    async def _session(self) -> None:
        """One connection, until it breaks; never returns without an error."""
        local = urlsplit(self._url).hostname in ("127.0.0.1", "localhost", "::1")
        async with connect(
            self._url,
            compression=None,
            proxy=None if local else True,
            open_timeout=10,
            ping_interval=_PING_S,
            ping_timeout=_PING_S,
            close_timeout=1,
            max_size=_MAX_MESSAGE,
        ) as socket:
            await socket.send(self._subscribe)
            self._stats.connected = True
            self._stats.connections += 1
            self._heard_s = asyncio.get_running_loop().time()
            log.info("exchange connected", url=self._url, connection=self._stats.connections)
            await self._listen(socket)

    async def _listen(self, socket: ClientConnection) -> None:
        """Take frames. One timer a silence, not one a frame: when it ends, look who was heard meanwhile."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout_at(self._heard_s + self._silence_s):
                    while True:
                        if self._take(await socket.recv(decode=False)):
                            self._heard_s = loop.time()
            except TimeoutError:
                if loop.time() - self._heard_s >= self._silence_s:
                    self._stats.silences += 1
                    raise Silence(f"no usable frame for {self._silence_s:g} s") from None
