"""The API under granian: one worker process with a pool of threads."""

import atexit
import os
import signal
import threading
import time
from typing import Final

from flask import Flask
from granian import Granian
from granian.constants import Interfaces

from api import create_app
from api.context import platform
from paceline.logs import set_up_logs
from paceline.settings import Settings

_STOP_S: Final = 8
_LOOK_S: Final = 0.2
# They tell those for whom there is no place, and how we are.
_DOORKEEPERS: Final = 4


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; requests under way are finished, for at most a few seconds."""
    Granian(
        "api.serve:worker",
        factory=True,
        interface=Interfaces.WSGI,
        address=settings.bind_host,
        port=settings.api_port,
        workers=1,
        blocking_threads=settings.api_threads + _DOORKEEPERS,
        backlog=1024,
        websockets=False,
        respawn_failed_workers=True,
        respawn_interval=1,
        workers_kill_timeout=_STOP_S,
        log_access=False,
    ).serve()


def worker() -> Flask:
    """The application in a worker process, which does not outlive its parent, even a killed one."""
    set_up_logs("api")
    parent = os.getppid()
    threading.Thread(target=_follow, args=(parent,), name="parent-watch", daemon=True).start()
    app = create_app()
    with app.app_context():
        atexit.register(platform().close)
    return app


def _follow(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_S)
    os.kill(os.getpid(), signal.SIGKILL)
