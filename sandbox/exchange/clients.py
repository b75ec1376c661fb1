"""A connected client of the exchange: its subscriptions, its unsent frames and its keep-alive."""

import asyncio
import struct
from contextlib import suppress
from typing import Final

import structlog
from aiohttp.web import WebSocketResponse

log = structlog.get_logger("exchange")

MAX_UNSENT: Final = 8 << 20
_CLOSE_S: Final = 1.0
_TEXT: Final = 0x81  # a complete message in one frame, RFC 6455, 5.2
_BINARY: Final = 0x82
_SHORT: Final = 126  # longer payloads have a 16-bit length, after this code
_head = struct.Struct("!BBH").pack


def framed(message: str | bytes) -> bytes:
    """A WebSocket frame of a server, for a message under 64 KiB: a string as text, bytes as binary."""
    opcode, payload = (_TEXT, message.encode()) if isinstance(message, str) else (_BINARY, message)
    size = len(payload)
    return (bytes((opcode, size)) if size < _SHORT else _head(opcode, _SHORT, size)) + payload


class Client:
    """Frames are queued, and `flush` sends them together: one system call per loop turn, not per frame."""

    def __init__(self, socket: WebSocketResponse[bool], transport: asyncio.Transport) -> None:
        self.socket = socket
        self._transport = transport
        self._frames: list[bytes] = []
        self.symbols: set[str] = set()
        self.heard_s = asyncio.get_running_loop().time()

    @property
    def unsent(self) -> int:
        """Bytes in the write buffer, because the client does not read them."""
        return self._transport.get_write_buffer_size()

    def queue(self, frame: bytes) -> None:
        self._frames.append(frame)

    def flush(self) -> None:
        """Send the queued frames without waiting. A client that does not read is disconnected, to bound
        the memory."""
        frames, self._frames = self._frames, []
        if not frames or self._transport.is_closing():
            return
        if self.unsent > MAX_UNSENT:
            log.warning(
                "client does not read, disconnected", client=str(self._transport.get_extra_info("peername"))
            )
            self.cut()
            return
        self._transport.write(b"".join(frames))

    def cut(self) -> None:
        """Close the connection without a closing handshake."""
        self._transport.abort()

    async def close(self, code: int, reason: str) -> None:
        """Close with the closing handshake; abort if the client does not complete it in `_CLOSE_S`."""
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self.socket.close(code=code, message=reason.encode())
        except TimeoutError:
            self.cut()

    async def keep_alive(self, ping_interval_s: float, silence_s: float) -> None:
        """Send pings. Close once nothing was received for `silence_s`."""
        loop = asyncio.get_running_loop()
        with suppress(ConnectionError):  # the client has left: the reading task handles it
            while (left_s := self.heard_s + silence_s - loop.time()) > 0:
                await asyncio.sleep(min(ping_interval_s, left_s))
                await self.socket.ping()
            await self.close(1011, "nothing received")
