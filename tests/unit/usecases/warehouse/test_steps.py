"""The list of the nightly run's steps, run without Airflow."""

from datetime import date
from itertools import chain
from typing import Any, cast

import pytest

from paceline.ports.warehouse import Cut
from paceline.usecases.warehouse.gates import GateFailedError
from paceline.usecases.warehouse.nightly import Nightly, run_steps
from paceline.usecases.warehouse.steps import STEPS

CUT = Cut(1, date(2026, 3, 1), date(2026, 3, 1), 2, False, [])


class RecordedRun:
    """A run that records its calls; the method `failing` raises."""

    def __init__(self, failing: str = "") -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._failing = failing

    def __getattr__(self, name: str) -> Any:
        def work(*_: object, **named: object) -> str:
            self.calls.append((name, named))
            if name == self._failing:
                raise GateFailedError(name)
            return f"{name} is done"

        return work


def run(recorded: RecordedRun, *, built: bool = True) -> dict[str, Any]:
    def build_models(_: str) -> bool:
        recorded.calls.append(("build", {}))
        return built

    return run_steps(cast(Nightly, recorded), "run", CUT, build_models)


def test_all_steps_run_in_order() -> None:
    recorded = RecordedRun()
    results = run(recorded)
    assert [name for name, _ in recorded.calls] == [
        "delete_old_models",
        "compute_metrics",
        "cut_var",
        "build",
        "check_dbt",
        "check_expectations",
        "check_parity",
        "publish",
        "export_month",
    ]
    assert list(results) == [step.name for step in chain.from_iterable(STEPS)]
    assert (results["dbt"], results["gate_parity"]) == (True, "check_parity is done")


@pytest.mark.parametrize("built", [True, False])
def test_the_gate_of_dbt_gets_the_result_of_the_build(built: bool) -> None:
    recorded = RecordedRun()
    run(recorded, built=built)
    assert ("check_dbt", {"built": built}) in recorded.calls


def test_a_failed_step_ends_the_run_before_the_publication() -> None:
    recorded = RecordedRun(failing="check_parity")
    with pytest.raises(GateFailedError):
        run(recorded)
    assert recorded.calls[-1][0] == "check_parity"
