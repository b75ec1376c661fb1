"""Carrying out an act on a running service, and waiting until the service does its work again."""

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
_LOOK_S: Final = 0.1


class Hit(Struct, frozen=True):
    """An act that was carried out; `recovered_s` runs from the SIGKILL, or from the SIGCONT."""

    service: str
    kind: str
    at_us: int
    pause_s: float
    recovered_s: float


class NotRecovered(AppError):
    """A service was not well again in time."""

    default_code = "NOT_RECOVERED"


async def carry_out(stack: Stack, load: Load, act: Act) -> Hit:
    """Do it and return once the service does its work again; `NotRecovered` if that takes too long."""
    pid = await _running(stack, act.service)
    at_us = time.time_ns() // 1000
    if act.kind == "kill":
        await asyncio.to_thread(_kill, pid, act.family)
        begun = time.monotonic()
        await _well(stack, load, act, since_us=at_us, not_pid=pid)
    else:
        with _stopped(await asyncio.to_thread(process.family, pid)):
            await asyncio.sleep(act.pause_s)
        begun = time.monotonic()
        await _well(stack, load, act, since_us=time.time_ns() // 1000, not_pid=None)
    return Hit(act.service, act.kind, at_us, act.pause_s, round(time.monotonic() - begun, 3))


def _kill(pid: int, family: bool) -> None:
    """What has just died by itself needs no killing."""
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
    """While it lasts no price comes, so that the log stands still once everything sent is answered."""
    exchange = stack.service_pid("exchange")
    os.kill(exchange, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(exchange, signal.SIGCONT)


async def _running(stack: Stack, service: str) -> int:
    """Its process id, once it runs."""
    deadline = time.monotonic() + WELL_WITHIN_S
    while (pid := _entry(stack, service).get("pid")) is None or not psutil.pid_exists(pid):
        if time.monotonic() > deadline:
            raise NotRecovered(f"{service} does not run: {_entry(stack, service)}")
        await asyncio.sleep(_LOOK_S)
    return int(pid)


def _entry(stack: Stack, service: str) -> dict[str, Any]:
    return dict(stack.status()["services"].get(service, {}))


async def _well(stack: Stack, load: Load, act: Act, since_us: int, not_pid: int | None) -> None:
    """Until the supervisor finds it healthy, in a new process after a kill, and its work is seen done."""
    deadline = time.monotonic() + WELL_WITHIN_S
    while True:
        entry = _entry(stack, act.service)
        up = entry.get("state") in HEALTHY and entry.get("pid") not in (None, not_pid)
        if up and await _works(stack, load, act.service, since_us):
            return
        if time.monotonic() > deadline:
            said = last_line(stack.settings.var_dir / "log" / f"{act.service}.log")
            raise NotRecovered(
                f"{act.service} was not well {WELL_WITHIN_S:.0f} s after act {act.number} ({act.kind}): "
                f"{entry}; it said: {said}"
            )
        await asyncio.sleep(_LOOK_S)


async def _works(stack: Stack, load: Load, service: str, since_us: int) -> bool:
    """Whether something came of its work that began after `since_us`."""
    if service == "feed":
        return load.newest_price_us() > since_us
    if service in ("writer", "postgres"):
        return await asyncio.to_thread(_written, stack, since_us)
    return load.answered_after_us > since_us


def _written(stack: Stack, since_us: int) -> bool:
    """Whether the writer has stored an instruction that was stamped since."""
    try:
        with psycopg.connect(stack.settings.database_url, connect_timeout=2) as connection:
            found = connection.execute(
                "select exists (select from engine.instructions where stamped_us > %s)", (since_us,)
            ).fetchone()
    except psycopg.OperationalError:
        return False
    return found is not None and bool(found[0])
