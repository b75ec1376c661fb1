"""Triggers Airflow's nightly DAG for the current day in the demo, so that a leaderboard appears within
minutes. It uses Airflow's REST API.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import psycopg
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential

DAG: Final = "nightly_metrics"
FIRST_AFTER_TRADES: Final = 20
EVERY_S: Final = 600.0
_POLL_S: Final = 5.0
_LONGEST_PAUSE_S: Final = 60.0
_TIMEOUT_S: Final = 15.0
_FINAL_STATES: Final = frozenset({"success", "failed"})


def conf_for(day: datetime) -> dict[str, Any]:
    return {"day": day.date().isoformat(), "provisional": True}


@dataclass
class Airflow:
    """`password` is read at each sign-in, because Airflow generates it at its first start."""

    url: str
    user: str
    password: Callable[[], str | None]

    def _client(self) -> httpx.Client:
        """A signed-in client."""
        answer = httpx.post(
            f"{self.url}/auth/token",
            json={"username": self.user, "password": self.password() or ""},
            timeout=_TIMEOUT_S,
            trust_env=False,
        )
        answer.raise_for_status()
        bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        return httpx.Client(base_url=self.url, headers=bearer, timeout=_TIMEOUT_S, trust_env=False)

    def trigger(self, conf: dict[str, Any]) -> str:
        """Start a run and return its id."""
        with self._client() as client:
            answer = client.post(f"/api/v2/dags/{DAG}/dagRuns", json={"logical_date": None, "conf": conf})
            answer.raise_for_status()
            return str(answer.json()["dag_run_id"])

    def state(self, run: str) -> str:
        with self._client() as client:
            answer = client.get(f"/api/v2/dags/{DAG}/dagRuns/{run}")
            answer.raise_for_status()
            return str(answer.json()["state"])


def closed_trades(database_url: str) -> int:
    """The number of closed trades, counted up to `FIRST_AFTER_TRADES`."""
    query = "select count(*) from (select from engine.closed_orders where profit is not null limit %s) as few"
    with psycopg.connect(database_url, connect_timeout=5) as connection:
        row = connection.execute(query, (FIRST_AFTER_TRADES,)).fetchone()
    return int(row[0]) if row else 0


def run(airflow: Airflow, database_url: str) -> None:
    """Forever: one run after the first trades, then one every ten minutes, one at a time."""
    patiently = Retrying(
        retry=retry_if_exception_type((httpx.HTTPError, psycopg.Error)),
        wait=wait_random_exponential(2 * _POLL_S, _LONGEST_PAUSE_S, min=_POLL_S),
        before_sleep=_report,
    )
    while True:
        if patiently(_run_if_due, airflow, database_url):
            time.sleep(EVERY_S)
        time.sleep(_POLL_S)


def _report(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    print(f"Airflow or Postgres cannot be reached: {error}", flush=True)


def _run_if_due(airflow: Airflow, database_url: str) -> bool:
    """Do a run if there are trades to rank; returns whether it was done."""
    if closed_trades(database_url) < FIRST_AFTER_TRADES:
        return False
    _one_run(airflow)
    return True


def _one_run(airflow: Airflow) -> None:
    begun = time.monotonic()
    conf = conf_for(datetime.now(UTC))
    run_id = airflow.trigger(conf)
    print(f"{DAG} for {conf['day']}: run {run_id} started", flush=True)
    while (state := airflow.state(run_id)) not in _FINAL_STATES and time.monotonic() - begun < EVERY_S:
        time.sleep(_POLL_S)
    print(f"{DAG} for {conf['day']}: {state} after {time.monotonic() - begun:.0f} s", flush=True)
