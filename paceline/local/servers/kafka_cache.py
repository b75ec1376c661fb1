"""Kafka's classes, loaded and linked ahead of time (JEP 514): a start takes half the CPU, 3 s instead of 6.

A Kafka that starts and stops in a temporary folder makes the cache once. Java itself refuses a cache of other
jars or another Java, and starts without it.
"""

import tempfile
from pathlib import Path

from paceline.local.processes.ports import free_port
from paceline.local.servers import kafka, server
from paceline.local.servers.server import ServerFailed

# Java writes the cache while it stops: about 10 s of both cores, more on a busy machine.
_STOP_S = 180


def install() -> str | None:
    """Make the cache for these jars and this Java, unless it exists. None on success, else the reason.

    Call it from a thread that lives until it returns (see `server.start`).
    """
    cache = kafka.cache()
    if cache.is_file():
        return None
    for other in cache.parent.glob("*.aot"):
        other.unlink()
    with tempfile.TemporaryDirectory(dir=cache.parent) as folder:
        made = Path(folder) / cache.name
        trial = kafka.LocalKafka(
            Path(folder) / "kafka", free_port(), controller_port=free_port(), writes_cache=made
        )
        try:
            (running,) = server.start(trial, timeout_s=_STOP_S)
            running.stop(_STOP_S)
        except ServerFailed as error:
            return error.message
        if not made.is_file():
            return f"Java has written none: {server.last_line(trial.log_file)}"
        made.replace(cache)
    return None
