"""Runs the services of a stack: starts them in order, restarts those that end, stops all at the end."""

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from paceline.local.processes import leftovers, logs
from paceline.local.supervisor import state
from paceline.local.supervisor.runner import ServiceRunner
from paceline.local.supervisor.service import Service

# Seconds that each phase of stopping gets before remaining processes are killed; together below 20.
PATIENCE_S: Final = (7.0, 5.0, 5.0)
_WRITE_S: Final = 2.0


class Supervisor:
    """`changed` gets the keeper of a service after each change of its state; `stopping` is called once."""

    def __init__(
        self,
        services: Sequence[Service],
        *,
        var_dir: Path,
        cwd: Path,
        environment: Mapping[str, str],
        longest_pause_s: float,
        changed: Callable[[ServiceRunner], None],
        stopping: Callable[[], None],
    ) -> None:
        self._var_dir = var_dir
        self._changed = changed
        self._stopping = stopping
        self._stop = asyncio.Event()
        self._child_ended = False
        log_dir = var_dir / "log"
        log_dir.mkdir(parents=True, exist_ok=True)
        marked = {**environment, **leftovers.mark(var_dir)}
        self.runners = {
            service.name: ServiceRunner(
                service,
                log_dir=log_dir,
                cwd=cwd,
                environment=marked,
                longest_pause_s=longest_pause_s,
                report=self._note_change,
            )
            for service in services
        }

    def _note_change(self, runner: ServiceRunner) -> None:
        state.write(self._var_dir, list(self.runners.values()))
        self._changed(runner)

    async def run(self) -> None:
        """Return when a signal (Ctrl-C, SIGTERM, SIGHUP) has stopped it and no service runs any more."""
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(32, thread_name_prefix="probe"))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGCHLD, self._child_has_ended)
        leftovers.adopt_orphans()
        state.write(self._var_dir, list(self.runners.values()))
        tasks = [asyncio.create_task(self._run_service(runner)) for runner in self.runners.values()]
        housekeeping = asyncio.create_task(self._housekeeping())
        stopping = asyncio.create_task(self._stop.wait())
        all_done: asyncio.Future[list[None]] = asyncio.gather(*tasks)
        try:
            ends: list[asyncio.Future[Any]] = [all_done, stopping, housekeeping]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._stopping()
            await self._stop_all()
            housekeeping.cancel()
            stopping.cancel()
            await asyncio.to_thread(leftovers.end, self._var_dir, 1)
            state.path(self._var_dir).unlink(missing_ok=True)
        await all_done

    def _child_has_ended(self) -> None:
        """A child has ended: a service, or an adopted orphan."""
        self._child_ended = True
        for runner in self.runners.values():
            runner.look()

    async def _run_service(self, runner: ServiceRunner) -> None:
        await runner.run([self.runners[name] for name in runner.service.needs if name in self.runners])

    async def _stop_all(self) -> None:
        for phase, patience_s in enumerate(PATIENCE_S):
            of_phase = [runner for runner in self.runners.values() if runner.service.stop_phase == phase]
            await asyncio.gather(*(runner.stop(patience_s) for runner in of_phase))

    async def _housekeeping(self) -> None:
        while True:
            state.write(self._var_dir, list(self.runners.values()))
            if self._child_ended:
                self._child_ended = False
                leftovers.reap({runner.pid for runner in self.runners.values() if runner.pid})
            for runner in self.runners.values():
                logs.trim(runner.log)
            await asyncio.sleep(_WRITE_S)
