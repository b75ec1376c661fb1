"""The steps of the nightly run after its cut, in order. The DAG and `paceline nightly` run this one list.

This module imports nothing of the run, because the DAG processor loads it at each parse.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from paceline.ports.warehouse import Cut
    from paceline.usecases.warehouse.nightly import Nightly


class StepInput(NamedTuple):
    """`built` says whether all models were built and all of their tests passed."""

    run_id: str
    cut: "Cut"
    built: bool


class Step(NamedTuple):
    """`work` returns a plain value: a summary, or the rows of each file. `None`: this step builds the models.
    Airflow does so with a task per model, `paceline nightly` with one `dbt build`.
    """

    name: str
    work: "Callable[[Nightly, StepInput], Any] | None"
    after_failure: bool = False  # it also runs when the step before it failed


# The steps of one inner tuple do not depend on each other: Airflow runs them at the same time.
STEPS: Final[tuple[tuple[Step, ...], ...]] = (
    (Step("delete_old_models", lambda run, given: run.delete_old_models()),),
    (Step("account_metrics", lambda run, given: run.compute_metrics(given.cut)),),
    (Step("dbt", None),),
    (
        Step(
            "gate_dbt",
            lambda run, given: run.check_dbt(given.run_id, given.cut, built=given.built),
            after_failure=True,
        ),
    ),
    (
        Step("gate_expectations", lambda run, given: run.check_expectations(given.run_id, given.cut)),
        Step("gate_parity", lambda run, given: run.check_parity(given.run_id, given.cut)),
    ),
    (Step("publish", lambda run, given: run.publish(given.run_id, given.cut)),),
    (Step("export_parquet", lambda run, given: run.export_month(given.cut)),),
)
