"""Runs the services of a stack: in order, restarted when they die, all ended when we end."""

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from paceline.local.processes import leftovers, logs
from paceline.local.supervisor import state
from paceline.local.supervisor.runner import Keeper
from paceline.local.supervisor.service import Service

# Seconds that each phase of stopping gets before the rest is killed; together below 20.
PATIENCE_S: Final = (7.0, 5.0, 5.0)
_WRITE_S: Final = 2.0


class Supervisor:
    """`changed` is called after every change of a service's state, with its keeper; `stopping` once."""

    def __init__(
        self,
        services: Sequence[Service],
        *,
        var_dir: Path,
        cwd: Path,
        environment: Mapping[str, str],
        longest_pause_s: float,
        changed: Callable[[Keeper], None],
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
        self.keepers = {
            service.name: Keeper(
                service,
                log_dir=log_dir,
                cwd=cwd,
                environment=marked,
                longest_pause_s=longest_pause_s,
                report=self._note,
            )
            for service in services
        }

    def _note(self, keeper: Keeper) -> None:
        state.write(self._var_dir, list(self.keepers.values()))
        self._changed(keeper)

    async def run(self) -> None:
        """Returns when a signal (Ctrl-C, SIGTERM, SIGHUP) has ended it and nothing runs any more."""
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(32, thread_name_prefix="probe"))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGCHLD, self._look)
        leftovers.adopt_orphans()
        state.write(self._var_dir, list(self.keepers.values()))
        tasks = [asyncio.create_task(self._keep(keeper)) for keeper in self.keepers.values()]
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

    def _look(self) -> None:
        """A child has ended: a service, or an orphan that we adopted."""
        self._child_ended = True
        for keeper in self.keepers.values():
            keeper.look()

    async def _keep(self, keeper: Keeper) -> None:
        await keeper.run([self.keepers[name] for name in keeper.service.needs if name in self.keepers])

    async def _stop_all(self) -> None:
        for phase, patience_s in enumerate(PATIENCE_S):
            mine = [keeper for keeper in self.keepers.values() if keeper.service.stop_phase == phase]
            await asyncio.gather(*(keeper.stop(patience_s) for keeper in mine))

    async def _housekeeping(self) -> None:
        while True:
            state.write(self._var_dir, list(self.keepers.values()))
            if self._child_ended:
                self._child_ended = False
                leftovers.reap({keeper.pid for keeper in self.keepers.values() if keeper.pid})
            for keeper in self.keepers.values():
                logs.trim(keeper.log)
            await asyncio.sleep(_WRITE_S)
