"""# nightly_metrics: a day's trades become a checked leaderboard

**What.** Takes a consistent cut of all shards, values every account at the day's end, builds the dbt
models beside the published ones, holds them against dbt's tests, Great Expectations and the engine's own
state, and only then publishes them and writes the month's Parquet.

**Why.** Members are ranked by it and copied for it: what is published must be right, and provably so.
When a gate fails nothing is published; yesterday's leaderboard stays. Which expectation failed, with its
rows, stands in the task's log, in `ops.gate_results` and in `ops.alerts`.

**Schedule.** 00:10 UTC, for the day that has just ended. By hand: `{"day": "2026-03-01"}` for any past
day, or `{"provisional": true}` for the running day up to now.

**Rerun.** Safe for any day, as often as you like. A run takes a cut of its own and replaces the day's
metrics; the marts go on telling of the newest published day, so an older day never takes its place. A day by
whose end nobody had an account is skipped. Clear a failed run from `take_cut` on. What will not get better by
itself (a failed gate) is not retried; what may (a server that is away, a writer that lags) is, with growing
pauses.
"""

from datetime import timedelta
from pathlib import Path

import pendulum
from airflow.sdk import Param, dag, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from cosmos import DbtTaskGroup, ExecutionConfig, ProfileConfig, ProjectConfig, RenderConfig
from cosmos.constants import ExecutionMode, InvocationMode, LoadMode, TestBehavior, TestIndirectSelection

DBT = Path(__file__).resolve().parent.parent / "dbt"
CUT_VAR = "{{ ti.xcom_pull(task_ids='take_cut')['dbt_var'] }}"


def database_for_dbt(_context):
    """dbt's profile reads the environment; it is filled in the task's own process, so no secret is
    rendered."""
    import os

    from paceline.bootstrap import warehouse_environment
    from paceline.settings import settings

    os.environ.update(warehouse_environment(settings()))


def step(work):
    """Run a step of the nightly run; errors that another try cannot mend fail for good."""
    from paceline.bootstrap import open_nightly
    from paceline.core.errors import AppError, NotFoundError, TransientError
    from paceline.settings import settings

    try:
        return work(open_nightly(settings()))
    except TransientError:
        raise
    except NotFoundError as nothing:
        raise AirflowSkipException(nothing.message) from nothing
    except AppError as error:
        raise AirflowFailException(error.message) from error


def models_in_next_schemas():
    """All of `dbt build`, a task a model, each with its tests."""
    project = ProjectConfig(DBT, install_dbt_deps=False)
    # A plain path: the one that cosmos would make of it loads all of Airflow's plugins, for most of a second.
    project.manifest_path = DBT / "target" / "manifest.json"
    return DbtTaskGroup(
        group_id="dbt",
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
            None, type=["null", "string"], format="date", description="UTC day; by default the one that ended"
        ),
        "provisional": Param(
            False, type="boolean", description="Allow a day that still runs (by default today)"
        ),
    },
    tags=["warehouse"],
)
def nightly_metrics():
    @task
    def take_cut(params, data_interval_end=None, logical_date=None):
        from paceline.usecases.warehouse.nightly import day_of_run

        day = day_of_run(params, data_interval_end or logical_date)
        return step(lambda run: run.plain(run.take_cut(day, allow_running=params["provisional"])))

    @task
    def account_metrics(cut):
        from paceline.usecases.warehouse.nightly import cut_of

        step(lambda run: run.compute_metrics(cut_of(cut)))

    @task(trigger_rule="all_done")
    def gate_dbt(cut, run_id, ti):
        from paceline.usecases.warehouse.nightly import cut_of

        if cut is None:
            raise AirflowSkipException("There was no cut, so no model was built.")
        states = ti.get_task_states(dag_id=ti.dag_id, task_group_id="dbt", run_ids=[run_id])
        built = all(state == "success" for run in states.values() for state in run.values())
        return step(lambda run: run.check_dbt(run_id, cut_of(cut), built=built))

    @task
    def gate_expectations(cut, run_id):
        from paceline.usecases.warehouse.nightly import cut_of

        return step(lambda run: run.check_expectations(run_id, cut_of(cut)))

    @task
    def gate_parity(cut, run_id):
        from paceline.usecases.warehouse.nightly import cut_of

        return step(lambda run: run.check_parity(run_id, cut_of(cut)))

    @task
    def publish(cut, run_id):
        from paceline.usecases.warehouse.nightly import cut_of

        step(lambda run: run.publish(run_id, cut_of(cut)))

    @task
    def export_parquet(cut):
        from paceline.usecases.warehouse.nightly import cut_of

        return step(lambda run: run.export_month(cut_of(cut)))

    cut = take_cut()
    metrics = account_metrics(cut)
    gates = [gate_expectations(cut), gate_parity(cut)]
    metrics >> models_in_next_schemas() >> gate_dbt(cut) >> gates >> publish(cut) >> export_parquet(cut)


nightly_metrics()
