"""The API under granian: one worker process with one event loop."""

import gc
import os
import signal
import threading
import time
from functools import partial
from typing import Final

from granian import Granian
from granian.constants import Interfaces, Loops

from api import MAX_BODY_BYTES, close, create_app
from api.rsgi import OnLoop
from paceline.logs import set_up_logs
from paceline.settings import Settings

_STOP_S: Final = 8
_LOOK_S: Final = 0.2


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; requests under way are finished, for at most a few seconds."""
    Granian(
        "api.serve:worker",
        factory=True,
        interface=Interfaces.RSGI,
        address=settings.bind_host,
        port=settings.api_port,
        workers=1,
        loop=Loops.uvloop,
        backlog=1024,
        websockets=False,
        respawn_failed_workers=True,
        respawn_interval=1,
        workers_kill_timeout=_STOP_S,
        log_access=False,
    ).serve()


def worker() -> OnLoop:
    """The application in a worker process, which does not outlive its parent, even a killed one."""
    set_up_logs("api")
    parent = os.getppid()
    threading.Thread(target=_follow, args=(parent,), name="parent-watch", daemon=True).start()
    app = create_app()
    gc.collect()
    gc.freeze()  # what is imported stays: collections need not look at it
    return OnLoop(app, MAX_BODY_BYTES, partial(close, app))


def _follow(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_S)
    os.kill(os.getpid(), signal.SIGKILL)
