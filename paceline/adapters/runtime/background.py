"""Work that a request hands over, so that it need not wait for another server."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextvars import Context
from typing import Final, Generic, TypeVar

import greenback
import structlog

from paceline.adapters.runtime.awaiting import wait_for
from paceline.adapters.runtime.retry import retrying
from paceline.core.errors import AppError, TransientError, UnknownError

T = TypeVar("T")

# How long `close` waits for what is left. The API has 15 s to stop, and its requests get 8 of them.
FINISH_S: Final = 5.0

_log = structlog.get_logger()


class BackgroundQueue(Generic[T]):
    """At most `capacity` items wait for `workers` tasks on the event loop of the process.

    `handle` gets up to `batch` items at a time. It is called again, with back-off, while it raises
    `TransientError` or `UnknownError` and its first item is still useful: it must be safe to repeat. Items
    that cannot be handled are dropped, and logged with their number. They are lost if the process is killed.
    """

    def __init__(
        self,
        name: str,
        handle: Callable[[Sequence[T]], object],
        *,
        capacity: int,
        workers: int = 1,
        batch: int = 1,
        finish_s: float = FINISH_S,
    ) -> None:
        self._name = name
        self._handle = handle
        self._batch = batch
        self._workers = workers
        self._finish_s = finish_s
        self._waiting: asyncio.Queue[tuple[float, T]] = asyncio.Queue(capacity)
        self._tasks: list[asyncio.Task[None]] = []
        self._in_hand = 0

    def put(self, item: T, useful_s: float) -> bool:
        """Add an item that is useful for `useful_s` seconds; False if the queue is full."""
        return wait_for(self._put(item, time.monotonic() + useful_s))

    def close(self) -> None:
        """Wait up to `finish_s` seconds until all items are handled, then drop the rest."""
        wait_for(self._close())

    async def _put(self, item: T, until_s: float) -> bool:
        if not self._tasks:
            # An own context: the log lines of a worker are not those of the request that started it.
            self._tasks = [
                asyncio.create_task(self._work(), name=self._name, context=Context())
                for _ in range(self._workers)
            ]
        try:
            self._waiting.put_nowait((until_s, item))
        except asyncio.QueueFull:
            return False
        return True

    async def _close(self) -> None:
        try:
            await asyncio.wait_for(self._waiting.join(), self._finish_s)
        except TimeoutError:
            left = self._waiting.qsize() + self._in_hand
            _log.error("background_work_dropped", queue=self._name, items=left, reason="stopped")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def _work(self) -> None:
        while True:
            taken = [await self._waiting.get()]
            while len(taken) < self._batch and not self._waiting.empty():
                taken.append(self._waiting.get_nowait())
            self._in_hand += len(taken)
            try:
                await self._handle_in_time(taken[0][0], [item for _, item in taken])
            finally:
                self._in_hand -= len(taken)
                for _ in taken:
                    self._waiting.task_done()

    async def _handle_in_time(self, until_s: float, items: Sequence[T]) -> None:
        async def attempt() -> None:
            await greenback.with_portal_run_sync(self._handle, items)

        left_s = until_s - time.monotonic()
        if left_s <= 0:
            self._drop(items, "too late")
            return
        try:
            await retrying(attempt, on=(TransientError, UnknownError), what=self._name, patience_s=left_s)
        except AppError as error:
            self._drop(items, error.message, details=error.details)
        except Exception as error:  # noqa: BLE001 - a defect in `handle` must not end the worker
            self._drop(items, "defect", exc_info=error)

    def _drop(self, items: Sequence[T], reason: str, **more: object) -> None:
        _log.error("background_work_dropped", queue=self._name, items=len(items), reason=reason, **more)
