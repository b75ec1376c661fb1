"""# nightly_metrics: makes a checked leaderboard from a day's trades

**What.** The run takes a consistent cut of all shards, values every account at the end of the day and builds
the dbt models in separate schemas. It checks them with dbt's tests, Great Expectations and the engine's
state. Only then it publishes them and writes the month's Parquet.

**Why.** The leaderboard decides who is ranked and copied, so it must be provably right. When a gate fails,
missing is published and yesterday's leaderboard stays. The failed expectation and its rows are in the task's
log, in `ops.gate_results` and in `ops.alerts`.

**Schedule.** 00:10 UTC, for the day before. Manually: `{"day": "2026-03-01"}` for any past day, or
`{"provisional": true}` for the current day up to now.

**Rerun.** Safe for any day, any number of times. A run takes its own cut and replaces the day's metrics. The
marts keep the newest published day; an older day never replaces it. A day is skipped if there was no account
at its end. Clear a failed run from `take_cut` on. Permanent errors (a failed gate) are not retried. Temporary
errors (an unavailable server, a writer that lags) are retried with growing pauses.
"""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pendulum
from airflow.sdk import Param, dag, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from cosmos import DbtTaskGroup, ExecutionConfig, ProfileConfig, ProjectConfig, RenderConfig
from cosmos.constants import ExecutionMode, InvocationMode, LoadMode, TestBehavior, TestIndirectSelection

from paceline.usecases.warehouse.steps import STEPS, Step, StepInput

DBT = Path(__file__).resolve().parent.parent / "dbt"
CUT_VAR = "{{ ti.xcom_pull(task_ids='take_cut')['dbt_var'] }}"


def database_for_dbt(_context: Any) -> None:
    """Set the environment variables that dbt's profile reads. This happens in the task's process, so no
    secret is rendered."""
    import os

    from paceline.bootstrap.nightly import warehouse_environment
    from paceline.settings import settings

    os.environ.update(warehouse_environment(settings()))


def on_servers(work: Callable[[Any], Any]) -> Any:
    """Run a step of the nightly run on the real servers. Permanent errors fail without a retry."""
    from paceline.bootstrap.nightly import open_nightly
    from paceline.core.errors import AppError, NotFoundError, TransientError
    from paceline.settings import settings

    try:
        return work(open_nightly(settings()))
    except TransientError:
        raise
    except NotFoundError as missing:
        raise AirflowSkipException(missing.message) from missing
    except AppError as error:
        raise AirflowFailException(error.message) from error


def models_in_next_schemas(step: Step) -> DbtTaskGroup:
    """`dbt build` with one task per model, tests included."""
    project = ProjectConfig(DBT, install_dbt_deps=False)
    # Set as a plain path: cosmos' own conversion loads all of Airflow's plugins, almost a second.
    project.manifest_path = DBT / "target" / "manifest.json"
    return DbtTaskGroup(
        group_id=step.name,
        project_config=project,
        profile_config=ProfileConfig(
            profile_name="paceline", target_name="warehouse", profiles_yml_filepath=DBT / "profiles.yml"
        ),
        execution_config=ExecutionConfig(
            execution_mode=ExecutionMode.LOCAL,
            invocation_mode=InvocationMode.DBT_RUNNER,
            test_indirect_selection=TestIndirectSelection.BUILDABLE,
        ),
        render_config=RenderConfig(
            load_method=LoadMode.DBT_MANIFEST,
            test_behavior=TestBehavior.BUILD,
            exclude=["resource_type:exposure"],
            emit_datasets=False,
        ),
        operator_args={
            "vars": {"cut": CUT_VAR},
            "pre_execute": database_for_dbt,
            "retries": 1,
        },
    )


def task_of(step: Step, cut: Any) -> Any:
    """A task that does one step's work. `cut` is the result of `take_cut`; None if that task was skipped."""

    @task(task_id=step.name, trigger_rule="all_done" if step.after_failure else "all_success")
    def work(cut: Any, run_id: Any, ti: Any) -> Any:
        from paceline.usecases.warehouse.nightly import cut_from_plain

        if cut is None:
            raise AirflowSkipException("There is no cut, so no model is built.")
        built = step.after_failure and models_are_built(ti, run_id)
        given = StepInput(run_id, cut_from_plain(cut), built)
        assert step.work is not None
        do = step.work
        return on_servers(lambda run: do(run, given))

    return cast(Any, work)(cut)


def models_are_built(ti: Any, run_id: str) -> bool:
    """Whether all tasks of the models succeeded."""
    states = ti.get_task_states(dag_id=ti.dag_id, task_group_id="dbt", run_ids=[run_id])
    return all(state == "success" for run in states.values() for state in run.values())


@dag(
    schedule="10 0 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
    default_args={
        "retries": 3,
        "retry_delay": timedelta(seconds=15),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=10),
    },
    params={
        "day": Param(
            None, type=["null", "string"], format="date", description="UTC day; by default the day before"
        ),
        "provisional": Param(
            False, type="boolean", description="Allow a day that is not over (by default today)"
        ),
    },
    tags=["warehouse"],
)
def nightly_metrics() -> None:
    @task
    def take_cut(params: Any, data_interval_end: Any = None, logical_date: Any = None) -> Any:
        from paceline.usecases.warehouse.nightly import day_of_run

        day = day_of_run(params, data_interval_end or logical_date)
        return on_servers(lambda run: run.plain(run.take_cut(day, allow_running=params["provisional"])))

    cut: Any = cast(Any, take_cut)()
    before: Any = cut
    for steps in STEPS:
        tasks = [task_of(step, cut) if step.work else models_in_next_schemas(step) for step in steps]
        for one in tasks:
            before >> one
        before = tasks[0] if len(tasks) == 1 else tasks


nightly_metrics()
