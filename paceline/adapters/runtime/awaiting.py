"""Runs coroutines from synchronous code: views, usecases, commands.

Within a portal (`greenback.with_portal_run_sync`, which the API opens around each request) the event loop
runs other tasks until the work is done, so a request needs no thread. Elsewhere an event loop in a separate
thread does the work.
"""

import asyncio
import threading
from collections.abc import Coroutine
from functools import cache
from typing import Any, TypeVar

import greenback
import uvloop

T = TypeVar("T")

_start_lock = threading.Lock()


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """Return or raise what the work does. A connection belongs to the event loop that made it."""
    if greenback.has_portal():
        return greenback.await_(work)
    return asyncio.run_coroutine_threadsafe(work, _own_loop()).result()


def pause(seconds: float) -> None:
    """Like `time.sleep`, but other tasks go on."""
    wait_for(asyncio.sleep(seconds))


def _own_loop() -> asyncio.AbstractEventLoop:
    with _start_lock:  # without the lock two threads could start one each
        return _started_loop()


@cache
def _started_loop() -> asyncio.AbstractEventLoop:
    loop = uvloop.new_event_loop()
    threading.Thread(target=loop.run_forever, name="awaiting", daemon=True).start()
    return loop
