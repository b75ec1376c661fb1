"""Puts TLS before a server that has none: the Postgres and Redis of the wheels are built without it."""

import asyncio
import ssl
import struct
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

_SSL_REQUEST: Final = 80877103
_GSS_REQUEST: Final = 80877104
_CHUNK: Final = 64 * 1024


@contextmanager
def tls_proxy(port: int, certificate: Path, *, postgres: bool = False) -> Iterator[int]:
    """Forward connections to a local port; the value is the proxy's port.

    `certificate`: a PEM file with the key and the certificate. `postgres`: a client asks for TLS in Postgres'
    protocol first, and a client that does not is refused.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="TLS proxy")
    thread.start()

    def wait(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(10)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError):
            if postgres:
                await _agree_on_tls(reader, writer)
                await writer.start_tls(context)
            await _forward(reader, writer, port)
        writer.close()

    async def stop() -> None:
        server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    server = wait(asyncio.start_server(serve, "127.0.0.1", 0, ssl=None if postgres else context))
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        wait(stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _agree_on_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        _, code = struct.unpack("!ii", await reader.readexactly(8))
        if code == _GSS_REQUEST:
            writer.write(b"N")
        elif code == _SSL_REQUEST:
            writer.write(b"S")
            await writer.drain()
            return
        else:
            raise EOFError("the client does not ask for TLS")


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    server_reader, server_writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_copy(reader, server_writer))
            group.create_task(_copy(server_reader, writer))
    except* OSError:
        pass
    finally:
        server_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    with suppress(OSError):
        writer.close()
