"""The DAGs: their names, their load time, and a full run of each in one process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from paceline.settings import settings
from paceline.usecases.warehouse.steps import STEPS
from tests.support.seed_warehouse import LAST_DAY, seed_warehouse
from tests.support.servers import ROLE_PASSWORDS

ROOT = Path(__file__).parents[2]
EXPECTED = {"nightly_metrics"}
FILES = sorted((ROOT / "dags").glob("[!_]*.py"))

# Runs in a process with Airflow and its plugins, like the DAG processor. Measures processor time because the
# machine may be busy.
LOAD = """
import json, sys, time
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.definitions import dag
began = time.process_time()
bag = DagBag(sys.argv[1])
took = time.process_time() - began
print(json.dumps({"dags": sorted(bag.dags), "errors": bag.import_errors, "seconds": took}))
"""


def test_the_expected_dags_load_within_a_second(airflow_home: Path) -> None:
    found: set[str] = set()
    for path in FILES:
        done = subprocess.run(
            [sys.executable, "-c", LOAD, str(path)],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ,
        )
        loaded = json.loads(done.stdout.splitlines()[-1])
        assert loaded["errors"] == {}
        assert loaded["seconds"] < 1.0, path.name
        found |= set(loaded["dags"])
    assert found == EXPECTED


def test_every_dag_documents_what_why_schedule_and_rerun() -> None:
    table = (ROOT / "dags" / "README.md").read_text()
    assert len(FILES) == len(EXPECTED)
    for path in FILES:
        text = path.read_text()
        assert all(word in text for word in ("**What.**", "**Why.**", "**Schedule.**", "**Rerun.**")), (
            path.name
        )
    assert all(f"`{name}`" in table for name in EXPECTED)


@pytest.fixture
def warehouse_url(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    seed_warehouse(postgres_url)
    for name, value in (ROLE_PASSWORDS | {"PACELINE_POSTGRES_URL": postgres_url}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PACELINE_VAR_DIR", str(tmp_path))
    monkeypatch.setenv("PACELINE_ENGINE_SHARDS", "2")
    settings.cache_clear()
    return postgres_url


@pytest.mark.filterwarnings("default")  # Airflow, cosmos and dbt raise warnings while tasks run
def test_a_run_publishes_and_a_planted_error_stops_the_next_run(
    warehouse_url: str, airflow_home: Path, tmp_path: Path
) -> None:
    from airflow.dag_processing.dagbag import DagBag

    dag = DagBag(str(ROOT / "dags" / "nightly_metrics.py")).dags["nightly_metrics"]
    in_dag = {name.partition(".")[0] for name in dag.task_ids}
    assert in_dag == {"take_cut"} | {step.name for steps in STEPS for step in steps}
    run = dag.test(run_conf={"day": LAST_DAY.isoformat()})
    assert run.state == "success"
    assert len(list((tmp_path / "cold").glob("*/month=2026-03/data.parquet"))) == 4
    with psycopg.connect(warehouse_url) as connection:
        board = connection.execute("select * from marts.leaderboard order by period, account").fetchall()
        gates = connection.execute("select gate, passed from ops.gate_results order by gate").fetchall()
        assert gates == [("dbt", True), ("expectations", True), ("parity", True)]
        connection.execute(
            "update engine.closed_orders set profit = profit + 1 where (shard, position, ordinal) = "
            "(select shard, position, ordinal from engine.closed_orders where trade is not null limit 1)"
        )
        connection.commit()
        again = dag.test(run_conf={"day": LAST_DAY.isoformat()})
        states = {one.task_id: one.state for one in again.get_task_instances()}
        assert again.state == "failed"
        assert (states["gate_expectations"], states["publish"]) == ("failed", "upstream_failed")
        assert states["gate_parity"] == "success"
        assert (
            connection.execute("select * from marts.leaderboard order by period, account").fetchall() == board
        )
        alerts = connection.execute("select source, message from ops.alerts").fetchall()
    assert [source for source, _ in alerts] == ["gate:expectations"]
    assert "the profit of a closed trade is" in alerts[0][1]
    settings.cache_clear()
