"""The work of each step of the nightly run. `steps.py` lists the steps in their order."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from typing import Any

import msgspec

from paceline.ports.warehouse import (
    ColdStore,
    Cut,
    CutStore,
    ExpectationChecker,
    GateStore,
    LogEnds,
    MetricStore,
    ModelStore,
)
from paceline.usecases.warehouse import gates, publish
from paceline.usecases.warehouse.account_metrics import compute_account_metrics
from paceline.usecases.warehouse.steps import STEPS, StepInput
from paceline.usecases.warehouse.take_cut import take_cut


def day_of_run(params: Mapping[str, Any], due: datetime | None) -> date:
    """The requested day. Else the day of `due` (default now) if provisional, or the day before it."""
    if params.get("day"):
        return date.fromisoformat(params["day"])
    moment = (due or datetime.now(UTC)).astimezone(UTC)
    today = date(moment.year, moment.month, moment.day)  # `date()` of Airflow's datetimes is of another type
    return today if params.get("provisional") else today - timedelta(days=1)


@dataclass(frozen=True)
class Nightly:
    """The run's stores, and a method for each step. `run_id` identifies the gates of one run."""

    cuts: CutStore
    log_ends: LogEnds
    metrics: MetricStore
    gates: GateStore
    models: ModelStore
    expectations: ExpectationChecker
    cold: ColdStore
    minimum_trades: int

    def take_cut(self, day: date, *, allow_running: bool, patience_s: float = 60.0) -> Cut:
        return take_cut(self.cuts, self.log_ends, day, allow_running=allow_running, patience_s=patience_s)

    def delete_old_models(self) -> None:
        """Delete the unpublished models of an earlier run."""
        self.models.prepare()

    def compute_metrics(self, cut: Cut) -> None:
        compute_account_metrics(self.metrics, cut)

    def cut_var(self, cut: Cut) -> str:
        """The variable `cut` of the dbt project, as JSON."""
        return json.dumps(
            {
                "cut_id": cut.cut_id,
                "positions": {str(one.shard): one.position for one in cut.shards},
                "as_of_day": cut.as_of_day.isoformat(),
                "as_of_end_us": cut.as_of_end_us,
                "provisional": cut.provisional,
                "minimum_trades": self.minimum_trades,
            }
        )

    def check_dbt(self, run_id: str, cut: Cut, *, built: bool) -> str:
        return gates.check_dbt(self.gates, self.models, run_id, cut, built=built)

    def check_expectations(self, run_id: str, cut: Cut) -> str:
        return gates.check_expectations(self.gates, self.expectations, run_id, cut)

    def check_parity(self, run_id: str, cut: Cut) -> str:
        return gates.check_parity(self.gates, self.cuts, self.models, run_id, cut)

    def publish(self, run_id: str, cut: Cut) -> None:
        publish.publish(self.gates, self.models, run_id, cut)

    def export_month(self, cut: Cut) -> dict[str, int]:
        return publish.export_month(self.cold, cut)

    def plain(self, cut: Cut) -> dict[str, Any]:
        """A cut and its dbt variable in plain values, which tasks can pass on."""
        return {"cut": msgspec.to_builtins(cut), "dbt_var": self.cut_var(cut)}


def cut_from_plain(plain: Mapping[str, Any]) -> Cut:
    """The cut from the plain values of `Nightly.plain`."""
    return msgspec.convert(plain["cut"], Cut)


def run_steps(
    run: Nightly,
    run_id: str,
    cut: Cut,
    build_models: Callable[[str], bool],
    report: Callable[[str, Any], None] = lambda name, result: None,
) -> dict[str, Any]:
    """Run all steps after the cut, one after the other, and return each step's result.

    `build_models` gets the dbt variable `cut` and returns whether all models were built and tested. `report`
    is called after each step. A failed step raises its error and ends the run.
    """
    results: dict[str, Any] = {}
    built = False
    for step in chain.from_iterable(STEPS):
        if step.work is None:
            results[step.name] = built = build_models(run.cut_var(cut))
        else:
            results[step.name] = step.work(run, StepInput(run_id, cut, built))
        report(step.name, results[step.name])
    return results
