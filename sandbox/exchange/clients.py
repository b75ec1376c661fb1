"""A client of the exchange: its subscriptions, its frames on their way, and whether it is still there."""

import asyncio
import struct
from contextlib import suppress
from typing import Final

import structlog
from aiohttp.web import WebSocketResponse

log = structlog.get_logger("exchange")

MAX_UNSENT: Final = 8 << 20
_CLOSE_S: Final = 1.0
_TEXT: Final = 0x81  # a whole message in one frame, by RFC 6455, 5.2
_BINARY: Final = 0x82
_SHORT: Final = 126
_head = struct.Struct("!BBH").pack


def framed(message: str | bytes) -> bytes:
    """A message of under 64 KiB as a server's WebSocket frame: a string as text, bytes as binary."""
    opcode, payload = (_TEXT, message.encode()) if isinstance(message, str) else (_BINARY, message)
    size = len(payload)
    return (bytes((opcode, size)) if size < _SHORT else _head(opcode, _SHORT, size)) + payload


class Client:
    """Frames are queued and leave together with `flush`: one system call a turn, not one a frame."""

    def __init__(self, socket: WebSocketResponse[bool], transport: asyncio.Transport) -> None:
        self.socket = socket
        self._transport = transport
        self._frames: list[bytes] = []
        self.symbols: set[str] = set()
        self.heard_s = asyncio.get_running_loop().time()

    @property
    def unsent(self) -> int:
        """Bytes that wait because the client does not read them."""
        return self._transport.get_write_buffer_size()

    def queue(self, frame: bytes) -> None:
        self._frames.append(frame)

    def flush(self) -> None:
        """Send what is queued without waiting. A client that does not read is cut off instead of filling
        memory."""
        frames, self._frames = self._frames, []
        if not frames or self._transport.is_closing():
            return
        if self.unsent > MAX_UNSENT:
            log.warning(
                "client does not read, dropped", client=str(self._transport.get_extra_info("peername"))
            )
            self.cut()
            return
        self._transport.write(b"".join(frames))

    def cut(self) -> None:
        """Break the connection off without a word."""
        self._transport.abort()

    async def close(self, code: int, reason: str) -> None:
        """Say goodbye; a client that does not take it in time is cut off."""
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self.socket.close(code=code, message=reason.encode())
        except TimeoutError:
            self.cut()

    async def keep_alive(self, ping_interval_s: float, silence_s: float) -> None:
        """Ping until nothing was heard for `silence_s`; then close."""
        loop = asyncio.get_running_loop()
        with suppress(ConnectionError):  # it has left: whoever reads from it notices
            while (left_s := self.heard_s + silence_s - loop.time()) > 0:
                await asyncio.sleep(min(ping_interval_s, left_s))
                await self.socket.ping()
            await self.close(1011, "nothing heard")
