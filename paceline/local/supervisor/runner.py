"""Keeps one service running: starts it, asks how it is, starts it again with a growing pause."""

import asyncio
import contextlib
import math
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from paceline.core.errors import AppError
from paceline.local.processes import ports, process
from paceline.local.servers.server import last_line
from paceline.local.supervisor.service import HEALTHY, Service, State

FIRST_PAUSE_S: Final = 1.0
GOOD_RUN_S: Final = 60.0  # after which a death counts as the first again
_NEEDS_S: Final = 0.1
_ASK_AT_START_S: Final = 0.3
_ASK_S: Final = 3.0
_PATIENCE: Final = 3  # answers in a row that say no before a service that was well counts as unhealthy


def next_pause_s(pause_s: float, lived_s: float, longest_s: float) -> float:
    """The pause before the next start, given the last one and how long the service lived."""
    if pause_s == 0 or lived_s >= GOOD_RUN_S:
        return FIRST_PAUSE_S
    return min(pause_s * 2, longest_s)


async def _within(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, but not for longer."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


class Keeper:
    """`report` is called after each change of `state`; `environment` is what all services get.

    Whoever runs it calls `look` at each SIGCHLD.
    """

    def __init__(
        self,
        service: Service,
        *,
        log_dir: Path,
        cwd: Path,
        environment: Mapping[str, str],
        longest_pause_s: float,
        report: Callable[["Keeper"], None],
    ) -> None:
        self.service = service
        self.state = State.WAITING
        self.reason = ""
        self.restarts = 0
        self.pid: int | None = None
        self.since_us = time.time_ns() // 1000
        self.ready = False  # once up or done, for ever
        self.log = log_dir / f"{service.name}.log"
        self._cwd = cwd
        self._environment = {**environment, **service.environment}
        self._longest_pause_s = longest_pause_s
        self._report = report
        self._patience_s = 5.0
        self._settled = False  # whether this life of the process has been well once
        self._bad_answers = 0
        self._stop = asyncio.Event()
        self._stirred = asyncio.Event()  # by a stop, or because some child has ended: look at ours
        self._ended = asyncio.Event()

    def _become(self, state: State, reason: str = "") -> None:
        if (state, reason) == (self.state, self.reason):
            return
        self.state, self.reason = state, reason
        self.since_us = time.time_ns() // 1000
        if state in HEALTHY:
            self.ready = True
        self._report(self)

    async def run(self, needs: Sequence["Keeper"]) -> None:
        try:
            while not all(need.ready for need in needs) and not self._stop.is_set():
                await _within(self._stop, _NEEDS_S)
            pause_s = 0.0
            while not self._stop.is_set():
                begun = time.monotonic()
                reason = await self._attempt()
                if reason is None or self._stop.is_set():
                    break
                pause_s = next_pause_s(pause_s, time.monotonic() - begun, self._longest_pause_s)
                self.restarts += 1
                self._become(State.RESTARTING, f"{reason} (again in {pause_s:.0f} s)")
                await _within(self._stop, pause_s)
        finally:
            self._ended.set()

    async def _attempt(self) -> str | None:
        """One life of the process. None: nothing more to do; else why it must be started again."""
        self._become(State.STARTING)
        try:
            child = await self._spawn()
        except (AppError, OSError) as error:
            return str(error)
        self.pid = child.pid
        try:
            return await self._watch(child)
        except AppError as error:
            return str(error)
        finally:
            await self._end(child)
            self.pid = None

    async def _spawn(self) -> "subprocess.Popen[bytes]":
        service, server = self.service, self.service.server
        for setting, port in (server.ports if server else service.ports).items():
            if problem := ports.taken(port, setting):
                raise AppError(problem)
        if server:
            await asyncio.to_thread(server.prepare)
        with self.log.open("ab") as output:
            return process.spawn(
                server.command() if server else service.command,
                cwd=server.folder if server else self._cwd,
                output=output,
                environment=self._environment,
                user=server.user if server else None,
                first=service.first,
                parent_death_signal=server.stop_signal if server else signal.SIGTERM,
            )

    async def _watch(self, child: "subprocess.Popen[bytes]") -> str | None:
        begun, started_us = time.monotonic(), time.time_ns() // 1000
        self._settled, self._bad_answers = False, 0
        ask_at = math.inf if self.service.once else 0.0
        while not self._stop.is_set():
            self._stirred.clear()
            if (code := child.poll()) is not None:
                return self._obituary(code)
            if time.monotonic() >= ask_at:
                problem = await self._ask(started_us)
                if child.poll() is None and not self._stop.is_set():
                    await self._judge(problem)
                if not self._settled and time.monotonic() - begun > self.service.start_timeout_s:
                    return f"not ready after {self.service.start_timeout_s:.0f} s: {problem}"
                ask_at = time.monotonic() + (_ASK_S if self._settled else _ASK_AT_START_S)
            await _within(self._stirred, ask_at - time.monotonic())
        return None

    async def _judge(self, problem: str | None) -> None:
        """Makes a state of an answer."""
        self._bad_answers = self._bad_answers + 1 if problem else 0
        if problem is None:
            if not self._settled and self.service.server:
                await asyncio.to_thread(self.service.server.settle)
            self._settled = True
            self._become(State.UP)
        elif self._settled and self._bad_answers >= _PATIENCE:
            self._become(State.UNHEALTHY, problem)

    async def _ask(self, started_us: int) -> str | None:
        server, probe = self.service.server, self.service.probe
        if server:
            return None if await asyncio.to_thread(server.is_ready) else "does not answer"
        return await asyncio.to_thread(probe, started_us) if probe else None

    def _obituary(self, code: int) -> str | None:
        if self.service.once and code == 0:
            self._become(State.DONE)
            return None
        how = f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
        return f"ended ({how}): {last_line(self.log)}"

    async def _end(self, child: "subprocess.Popen[bytes]") -> None:
        """Leaves nothing of this life behind: not the process, not what it started."""
        members = process.family(child.pid)
        how = self.service.server.stop_signal if self.service.server else signal.SIGTERM
        await asyncio.to_thread(process.end, members, how, self._patience_s)
        await asyncio.to_thread(child.wait, 5)

    def look(self) -> None:
        """Some child of this process has ended: is it ours?"""
        self._stirred.set()

    async def stop(self, patience_s: float) -> None:
        """Ends the service and its restarts; what has not gone after `patience_s` is killed."""
        self._patience_s = patience_s
        self._stop.set()
        self._stirred.set()
        if self.pid is not None:
            self._become(State.STOPPING)
        await self._ended.wait()
        self._become(State.STOPPED)
