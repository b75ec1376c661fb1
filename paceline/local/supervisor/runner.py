"""Keeps one service running: starts it, checks its health, restarts it after a growing pause."""

import asyncio
import contextlib
import math
import random
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from paceline.core.errors import AppError
from paceline.local.processes import ports, process
from paceline.local.servers.server import last_line
from paceline.local.supervisor.service import HEALTHY, Service, ServiceState

FIRST_PAUSE_S: Final = 1.0
GOOD_RUN_S: Final = 60.0  # after a run this long the pause starts again at `FIRST_PAUSE_S`
_POLL_NEEDS_S: Final = 0.1
_CHECK_AT_START_S: Final = 0.3
_CHECK_S: Final = 3.0
_MAX_FAILED_CHECKS: Final = 3  # in a row, before a service that was healthy counts as unhealthy


def next_pause_s(pause_s: float, lived_s: float, longest_s: float) -> float:
    """The longest pause before the next start, given the last one and how long the service ran."""
    if pause_s == 0 or lived_s >= GOOD_RUN_S:
        return FIRST_PAUSE_S
    return min(pause_s * 2, longest_s)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, at most this long."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


class ServiceRunner:
    """`report` is called after each change of `state`; `environment` is common to all services.

    The supervisor calls `look` at each SIGCHLD.
    """

    def __init__(
        self,
        service: Service,
        *,
        log_dir: Path,
        cwd: Path,
        environment: Mapping[str, str],
        longest_pause_s: float,
        report: Callable[["ServiceRunner"], None],
    ) -> None:
        self.service = service
        self.state = ServiceState.WAITING
        self.reason = ""
        self.restarts = 0
        self.pid: int | None = None
        self.since_us = time.time_ns() // 1000
        self.ready = False  # stays true once it was up or done
        self.log = log_dir / f"{service.name}.log"
        self._cwd = cwd
        self._environment = {**environment, **service.environment}
        self._longest_pause_s = longest_pause_s
        self._report = report
        self._patience_s = 5.0
        self._was_healthy = False  # whether this process has been healthy once
        self._failed_checks = 0
        self._stop = asyncio.Event()
        self._woken = asyncio.Event()  # by a stop, or because a child has ended: check ours
        self._ended = asyncio.Event()

    def _set_state(self, state: ServiceState, reason: str = "") -> None:
        if (state, reason) == (self.state, self.reason):
            return
        self.state, self.reason = state, reason
        self.since_us = time.time_ns() // 1000
        if state in HEALTHY:
            self.ready = True
        self._report(self)

    async def run(self, needs: Sequence["ServiceRunner"]) -> None:
        try:
            while not all(need.ready for need in needs) and not self._stop.is_set():
                await _wait(self._stop, _POLL_NEEDS_S)
            pause_s = 0.0
            while not self._stop.is_set():
                started = time.monotonic()
                reason = await self._attempt()
                if reason is None or self._stop.is_set():
                    break
                pause_s = next_pause_s(pause_s, time.monotonic() - started, self._longest_pause_s)
                self.restarts += 1
                # Services that failed together do not start again together.
                random_pause_s = pause_s * random.uniform(0.5, 1.0)
                self._set_state(ServiceState.RESTARTING, f"{reason} (again in {random_pause_s:.1f} s)")
                await _wait(self._stop, random_pause_s)
        finally:
            self._ended.set()

    async def _attempt(self) -> str | None:
        """Run the process once. None: nothing more to do; else the reason to start it again."""
        self._set_state(ServiceState.STARTING)
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
        started, started_us = time.monotonic(), time.time_ns() // 1000
        self._was_healthy, self._failed_checks = False, 0
        check_at = math.inf if self.service.once else 0.0
        while not self._stop.is_set():
            self._woken.clear()
            if (code := child.poll()) is not None:
                return self._exit_reason(code)
            if time.monotonic() >= check_at:
                problem = await self._check(started_us)
                if child.poll() is None and not self._stop.is_set():
                    await self._note_check(problem)
                if not self._was_healthy and time.monotonic() - started > self.service.start_timeout_s:
                    return f"not ready after {self.service.start_timeout_s:.0f} s: {problem}"
                check_at = time.monotonic() + (_CHECK_S if self._was_healthy else _CHECK_AT_START_S)
            await _wait(self._woken, check_at - time.monotonic())
        return None

    async def _note_check(self, problem: str | None) -> None:
        """Set the state from the result of a health check; `problem` is None if it succeeded."""
        self._failed_checks = self._failed_checks + 1 if problem else 0
        if problem is None:
            if not self._was_healthy and self.service.server:
                await asyncio.to_thread(self.service.server.settle)
            self._was_healthy = True
            self._set_state(ServiceState.UP)
        elif self._was_healthy and self._failed_checks >= _MAX_FAILED_CHECKS:
            self._set_state(ServiceState.UNHEALTHY, problem)

    async def _check(self, started_us: int) -> str | None:
        server, probe = self.service.server, self.service.probe
        if server:
            return None if await asyncio.to_thread(server.is_ready) else "does not answer"
        return await asyncio.to_thread(probe, started_us) if probe else None

    def _exit_reason(self, code: int) -> str | None:
        if self.service.once and code == 0:
            self._set_state(ServiceState.DONE)
            return None
        cause = f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
        return f"ended ({cause}): {last_line(self.log)}"

    async def _end(self, child: "subprocess.Popen[bytes]") -> None:
        """End the process and all processes that it started."""
        members = process.family(child.pid)
        stop_signal = self.service.server.stop_signal if self.service.server else signal.SIGTERM
        await asyncio.to_thread(process.end, members, stop_signal, self._patience_s)
        await asyncio.to_thread(child.wait, 5)

    def look(self) -> None:
        """Check the process now: a child of the supervisor has ended."""
        self._woken.set()

    async def stop(self, patience_s: float) -> None:
        """End the service and its restarts; processes that remain after `patience_s` are killed."""
        self._patience_s = patience_s
        self._stop.set()
        self._woken.set()
        if self.pid is not None:
            self._set_state(ServiceState.STOPPING)
        await self._ended.wait()
        self._set_state(ServiceState.STOPPED)
