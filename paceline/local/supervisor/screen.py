"""Shows the running stack: a line for each change, a table once it is up."""

import time
from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape

from paceline.adapters.runtime import terminal
from paceline.adapters.runtime.terminal import Column
from paceline.local.supervisor.runner import ServiceRunner
from paceline.local.supervisor.service import HEALTHY, ServiceState

_COLOUR = {
    ServiceState.UP: "green",
    ServiceState.DONE: "green",
    ServiceState.UNHEALTHY: "red",
    ServiceState.RESTARTING: "red",
    ServiceState.STARTING: "yellow",
    ServiceState.WAITING: "dim",
}
_COLUMNS = (
    Column(name="service"),
    Column(name="address", priority=1),
    Column(name="state", style=lambda state: _COLOUR.get(ServiceState(state), "white")),
)
_IN_BACKGROUND = "airflow"


class Screen:
    """Prints each change once, and the table when all but Airflow are up, which takes longest."""

    def __init__(self, console: Console, hints: list[str]) -> None:
        self._console = console
        self._hints = hints
        self._started = time.monotonic()
        self._table_shown = False
        self._all_up_shown = False

    def changed(self, runner: ServiceRunner, all_runners: list[ServiceRunner]) -> None:
        if runner.state in (
            ServiceState.STARTING,
            ServiceState.WAITING,
            ServiceState.STOPPING,
            ServiceState.STOPPED,
        ):
            return
        self._print_line(runner)
        waited_for = [one for one in all_runners if not one.service.name.startswith(_IN_BACKGROUND)]
        if not self._table_shown and _all_healthy(one for one in waited_for if one.service.name != "nightly"):
            self._table_shown = True
            self._all_up_shown = _all_healthy(all_runners)
            self._print_table(all_runners)
        elif not self._all_up_shown and _all_healthy(all_runners):
            self._all_up_shown = True
            self._print(f"all services are up after {time.monotonic() - self._started:.0f} s")

    def stopping(self) -> None:
        self._print("stopping …")

    def _print(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, highlight=False)

    def _print_line(self, runner: ServiceRunner) -> None:
        colour = _COLOUR.get(runner.state, "white")
        after = f"{time.monotonic() - self._started:6.1f} s"
        detail = runner.reason or runner.service.address
        self._print(
            f"[dim]{after}[/]  {runner.service.name:<18} [{colour}]{runner.state}[/]  {escape(detail)}"
        )

    def _print_table(self, runners: list[ServiceRunner]) -> None:
        rows = [
            {"service": one.service.name, "address": one.service.address, "state": one.state}
            for one in runners
            if not (one.service.once and one.state is ServiceState.DONE)
        ]
        self._console.print()
        terminal.show_table(_COLUMNS, rows, hint="paceline status --wide", console=self._console)
        for hint in self._hints:
            self._print(hint)
        self._print("Ctrl-C stops everything.")


def _all_healthy(runners: Iterable[ServiceRunner]) -> bool:
    return all(runner.state in HEALTHY for runner in runners)
