"""A bounded queue of work: retried, dropped when it is too late, finished on close."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from paceline.adapters.runtime import retry
from paceline.adapters.runtime.background import BackgroundQueue
from paceline.core.errors import PermanentError, TransientError, UnknownError


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    with capture_logs() as lines:
        yield lines


class Handler:
    """Records the batches that it gets. `failures` are raised first; it blocks while `gate` is not set."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, items: Sequence[int]) -> None:
        from paceline.adapters.runtime.awaiting import pause

        while not self.gate.is_set():
            pause(0.005)
        if self.failures:
            raise self.failures.pop(0)
        self.batches.append(list(items))


def queue(handler: Handler, **bounds: Any) -> BackgroundQueue[int]:
    return BackgroundQueue("test", handler, **{"capacity": 4} | bounds)


def dropped(lines: list[Any]) -> list[tuple[int, str]]:
    return [(line["items"], line["reason"]) for line in lines if line["event"] == "background_work_dropped"]


def test_close_waits_until_all_items_are_handled_in_order() -> None:
    handler = Handler()
    with closing(queue(handler)) as work:
        assert all(work.put(number, 60) for number in range(3))
    assert handler.batches == [[0], [1], [2]]


def test_a_full_queue_accepts_nothing_and_does_not_wait() -> None:
    handler = Handler()
    handler.gate.clear()
    with closing(queue(handler, capacity=2)) as work:
        began = time.monotonic()
        accepted = [work.put(number, 60) for number in range(9)]
        assert time.monotonic() - began < 1
        assert accepted[:2] == [True, True]
        assert accepted[-1] is False
        handler.gate.set()
    assert len(handler.batches) == sum(accepted)


def test_waiting_items_are_handled_together() -> None:
    handler = Handler()
    handler.gate.clear()
    with closing(queue(handler, capacity=9, batch=3)) as work:
        assert work.put(0, 60)
        time.sleep(0.05)
        assert all(work.put(number, 60) for number in range(1, 6))
        handler.gate.set()
    assert handler.batches == [[0], [1, 2, 3], [4, 5]]


@pytest.mark.parametrize("failure", [TransientError("busy"), UnknownError("no answer")])
def test_a_failure_that_may_pass_is_repeated(failure: Exception, logged: list[Any]) -> None:
    handler = Handler(failure, failure)
    with closing(queue(handler)) as work:
        assert work.put(1, 60)
    assert handler.batches == [[1]]
    assert dropped(logged) == []


def test_other_failures_drop_the_item_and_not_the_next_one(logged: list[Any]) -> None:
    handler = Handler(PermanentError("refused"), KeyError("why"))
    with closing(queue(handler)) as work:
        assert all(work.put(number, 60) for number in range(3))
    assert handler.batches == [[2]]
    assert dropped(logged) == [(1, "refused"), (1, "defect")]


def test_an_item_that_is_too_late_is_dropped(logged: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_DELAY_S", 0.2)
    handler = Handler(*[TransientError("busy")] * 20)
    with closing(queue(handler)) as work:
        assert work.put(1, 0.1)
        assert work.put(2, 0)
    assert handler.batches == []
    assert dropped(logged) == [(1, "busy"), (1, "too late")]


def test_close_drops_what_takes_too_long(logged: list[Any]) -> None:
    handler = Handler()
    handler.gate.clear()
    work = queue(handler, finish_s=0.1)
    assert all(work.put(number, 60) for number in range(3))
    began = time.monotonic()
    work.close()
    assert time.monotonic() - began < 2
    assert dropped(logged) == [(3, "stopped")]


def test_log_lines_of_a_worker_do_not_name_the_request_that_started_it() -> None:
    found: list[Any] = []
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        work = BackgroundQueue[int](
            "test", lambda _: found.append(structlog.contextvars.get_contextvars()), capacity=1
        )
        assert work.put(1, 60)
    work.close()
    assert found == [{}]
