"""What a person sees while the stack runs: lines for changes, a table when it stands."""

import time
from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape

from paceline.adapters.runtime import terminal
from paceline.adapters.runtime.terminal import Column
from paceline.local.supervisor.runner import Keeper
from paceline.local.supervisor.service import HEALTHY, State

_COLOUR = {
    State.UP: "green",
    State.DONE: "green",
    State.UNHEALTHY: "red",
    State.RESTARTING: "red",
    State.STARTING: "yellow",
    State.WAITING: "dim",
}
_COLUMNS = (
    Column(name="service"),
    Column(name="address", priority=1),
    Column(name="state", style=lambda state: _COLOUR.get(State(state), "white")),
)
_IN_BACKGROUND = "airflow"


class Screen:
    """Prints each change once, and the table when all but Airflow stand, which takes longest."""

    def __init__(self, console: Console, hints: list[str]) -> None:
        self._console = console
        self._hints = hints
        self._begun = time.monotonic()
        self._shown_first = False
        self._shown_all = False

    def changed(self, keeper: Keeper, all_keepers: list[Keeper]) -> None:
        if keeper.state in (State.STARTING, State.WAITING, State.STOPPING, State.STOPPED):
            return
        self._line(keeper)
        waited_for = [one for one in all_keepers if not one.service.name.startswith(_IN_BACKGROUND)]
        if not self._shown_first and _stand(one for one in waited_for if one.service.name != "nightly"):
            self._shown_first = True
            self._shown_all = _stand(all_keepers)
            self._table(all_keepers)
        elif not self._shown_all and _stand(all_keepers):
            self._shown_all = True
            self._say(f"all of it is up after {time.monotonic() - self._begun:.0f} s")

    def stopping(self) -> None:
        self._say("stopping …")

    def _say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, highlight=False)

    def _line(self, keeper: Keeper) -> None:
        colour = _COLOUR.get(keeper.state, "white")
        after = f"{time.monotonic() - self._begun:6.1f} s"
        detail = keeper.reason or keeper.service.address
        self._say(f"[dim]{after}[/]  {keeper.service.name:<18} [{colour}]{keeper.state}[/]  {escape(detail)}")

    def _table(self, keepers: list[Keeper]) -> None:
        rows = [
            {"service": one.service.name, "address": one.service.address, "state": one.state}
            for one in keepers
            if not (one.service.once and one.state is State.DONE)
        ]
        self._console.print()
        terminal.show_table(_COLUMNS, rows, hint="paceline status --wide", console=self._console)
        for hint in self._hints:
            self._say(hint)
        self._say("Ctrl-C stops everything.")


def _stand(keepers: Iterable[Keeper]) -> bool:
    return all(keeper.state in HEALTHY for keeper in keepers)
