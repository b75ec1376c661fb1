"""Serves the mailbox on loopback only, because its reader can sign in as any member of the demo."""

import signal
import threading

from werkzeug.serving import make_server

from sandbox.mailbox.app import create_app

HOST = "127.0.0.1"


def serve(port: int) -> None:
    """Serve until SIGINT or SIGTERM."""
    server = make_server(HOST, port, create_app(), threaded=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.1)
    server.server_close()
