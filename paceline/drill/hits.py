"""Carries out an act on a running service and waits until the service works again."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

import psutil
import psycopg
from msgspec import Struct

from paceline.core.errors import AppError
from paceline.drill.load import Load
from paceline.drill.schedule import Act
from paceline.local.processes import process
from paceline.local.servers.server import last_line
from paceline.local.stack.throwaway import Stack
from paceline.local.supervisor.service import HEALTHY

WELL_WITHIN_S: Final = 120.0
_POLL_S: Final = 0.1


class ActResult(Struct, frozen=True):
    """An act that was carried out; `recovered_s` counts from the SIGKILL or the SIGCONT."""

    service: str
    kind: str
    at_us: int
    pause_s: float
    recovered_s: float


class NotRecovered(AppError):
    """A service has not recovered in time."""

    default_code = "NOT_RECOVERED"


async def carry_out(stack: Stack, load: Load, act: Act) -> ActResult:
    """Carry out the act; return once the service works again. `NotRecovered` if that takes too long."""
    pid = await _await_running(stack, act.service)
    at_us = time.time_ns() // 1000
    if act.kind == "kill":
        await asyncio.to_thread(_kill, pid, act.family)
        begun = time.monotonic()
        await _await_recovery(stack, load, act, since_us=at_us, not_pid=pid)
    else:
        with _stopped(await asyncio.to_thread(process.family, pid)):
            await asyncio.sleep(act.pause_s)
        begun = time.monotonic()
        await _await_recovery(stack, load, act, since_us=time.time_ns() // 1000, not_pid=None)
    return ActResult(act.service, act.kind, at_us, act.pause_s, round(time.monotonic() - begun, 3))


def _kill(pid: int, family: bool) -> None:
    """Kill a process, with `family` its descendants too; those that have just ended are skipped."""
    for member in process.family(pid):
        if family or member.pid == pid:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()


@contextlib.contextmanager
def _stopped(members: Sequence[psutil.Process]) -> Iterator[None]:
    for member in members:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.suspend()
    try:
        yield
    finally:
        for member in members:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.resume()


@contextlib.contextmanager
def silent_exchange(stack: Stack) -> Iterator[None]:
    """Pause the exchange: no price comes, so the log stops growing once all requests are answered."""
    exchange = stack.service_pid("exchange")
    os.kill(exchange, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(exchange, signal.SIGCONT)


async def _await_running(stack: Stack, service: str) -> int:
    """The process id of a service, once it runs."""
    deadline = time.monotonic() + WELL_WITHIN_S
    while (pid := _service_state(stack, service).get("pid")) is None or not psutil.pid_exists(pid):
        if time.monotonic() > deadline:
            raise NotRecovered(f"{service} does not run: {_service_state(stack, service)}")
        await asyncio.sleep(_POLL_S)
    return int(pid)


def _service_state(stack: Stack, service: str) -> dict[str, Any]:
    return dict(stack.status()["services"].get(service, {}))


async def _await_recovery(stack: Stack, load: Load, act: Act, since_us: int, not_pid: int | None) -> None:
    """Wait until the supervisor reports it healthy (after a kill: in a new process) and it does its work."""
    deadline = time.monotonic() + WELL_WITHIN_S
    while True:
        entry = _service_state(stack, act.service)
        up = entry.get("state") in HEALTHY and entry.get("pid") not in (None, not_pid)
        if up and await _works(stack, load, act.service, since_us):
            return
        if time.monotonic() > deadline:
            log_line = last_line(stack.settings.var_dir / "log" / f"{act.service}.log")
            raise NotRecovered(
                f"{act.service} has not recovered {WELL_WITHIN_S:.0f} s after act {act.number} ({act.kind}): "
                f"{entry}; its last log line: {log_line}"
            )
        await asyncio.sleep(_POLL_S)


async def _works(stack: Stack, load: Load, service: str, since_us: int) -> bool:
    """Whether the result of some work that began after `since_us` is visible."""
    if service == "feed":
        return load.newest_price_us() > since_us
    if service in ("writer", "postgres"):
        return await asyncio.to_thread(_has_written, stack, since_us)
    if service == "bars":
        return await asyncio.to_thread(_has_stored_bars, stack, since_us)
    return load.answered_after_us > since_us


def _has_written(stack: Stack, since_us: int) -> bool:
    """Whether the writer has stored an instruction that was stamped after `since_us`."""
    return _exists(stack, "select exists (select from engine.instructions where stamped_us > %s)", since_us)


def _has_stored_bars(stack: Stack, since_us: int) -> bool:
    """Whether the reader of bars has moved after `since_us`."""
    return _exists(
        stack,
        "select exists (select from engine.readers where reader = 'bars' and next_offset > 0 "
        "and updated_at > to_timestamp(%s / 1e6::float8))",
        since_us,
    )


def _exists(stack: Stack, question: str, since_us: int) -> bool:
    try:
        with psycopg.connect(stack.settings.database_url_of("nightly"), connect_timeout=2) as connection:
            found = connection.execute(question.encode(), (since_us,)).fetchone()
    except psycopg.OperationalError:
        return False
    return found is not None and bool(found[0])
