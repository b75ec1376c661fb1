"""Asynchronous work for code that is not asynchronous itself: views, usecases, commands.

Within a portal (`greenback.with_portal_run_sync`, which the API opens around each request) the event loop
turns to others until the work is done, so that a request costs no thread. Anywhere else an event loop in a
thread of its own does the work.
"""

import asyncio
import threading
from collections.abc import Coroutine
from functools import cache
from typing import Any, TypeVar

import greenback
import uvloop

T = TypeVar("T")

_starting = threading.Lock()


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """What the work returns or raises. What it connects belongs to the event loop that did it first."""
    if greenback.has_portal():
        return greenback.await_(work)
    return asyncio.run_coroutine_threadsafe(work, _own_loop()).result()


def pause(seconds: float) -> None:
    """`time.sleep` that lets others go on."""
    wait_for(asyncio.sleep(seconds))


def _own_loop() -> asyncio.AbstractEventLoop:
    with _starting:  # a cache alone lets two threads start one each
        return _started_loop()


@cache
def _started_loop() -> asyncio.AbstractEventLoop:
    loop = uvloop.new_event_loop()
    threading.Thread(target=loop.run_forever, name="awaiting", daemon=True).start()
    return loop
