"""Contract of `GateStore`: gate results per run and cut, and an alert for each failed gate."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from uuid import uuid4

import psycopg
import pytest
from msgspec.structs import replace

from paceline.adapters.postgres.warehouse.gates import PostgresGates
from paceline.core.errors import TransientError
from paceline.ports.warehouse import Cut, FailedExpectation, GateStore
from tests.support.fakes.store import make_unavailable
from tests.support.fakes.warehouse.warehouse import FakeGates
from tests.support.servers import as_role

CUT = Cut(7, date(2026, 3, 2), date(2026, 3, 2), 1, False, [])
FAILURE = FailedExpectation("it adds up", 3, [{"closed_order": "0:1:2"}])


@dataclass
class Subject:
    gates: GateStore
    alerts: Callable[[], list[str]]


def alerts_in(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("select message from ops.alerts order by id")]


@pytest.fixture(params=["fake", "postgres"])
def subject(request: pytest.FixtureRequest) -> Subject:
    if request.param == "fake":
        fake = FakeGates()
        return Subject(fake, lambda: fake.alerts)
    url = request.getfixturevalue("fresh_database")()
    return Subject(PostgresGates(as_role(url, "nightly")), lambda: alerts_in(url))


@pytest.fixture
def run() -> str:
    return uuid4().hex


def test_passed_returns_gates_of_this_run_and_cut_only(subject: Subject, run: str) -> None:
    gates = subject.gates
    gates.record(run, "dbt", CUT, "good", [])
    gates.record(run, "parity", CUT, "bad", [FAILURE])
    gates.record("another run", "expectations", CUT, "good", [])
    gates.record(run, "expectations", replace(CUT, cut_id=8), "good", [])
    assert gates.passed(run, CUT.cut_id) == {"dbt"}
    assert gates.passed(run, 8) == {"expectations"}
    assert gates.passed("never", CUT.cut_id) == set()


def test_the_last_result_of_a_gate_counts(subject: Subject, run: str) -> None:
    subject.gates.record(run, "dbt", CUT, "bad", [FAILURE])
    subject.gates.record(run, "dbt", CUT, "good", [])
    assert subject.gates.passed(run, CUT.cut_id) == {"dbt"}
    subject.gates.record(run, "dbt", CUT, "bad again", [FAILURE])
    assert subject.gates.passed(run, CUT.cut_id) == set()


def test_only_a_failed_gate_opens_an_alert(subject: Subject, run: str) -> None:
    subject.gates.record(run, "dbt", CUT, "all is well", [])
    assert subject.alerts() == []
    subject.gates.record(run, "parity", CUT, "nothing adds up", [FAILURE])
    [alert] = subject.alerts()
    assert "nothing adds up" in alert


@pytest.mark.parametrize("kind", ["fake", "postgres"])
def test_an_unavailable_store_raises_transient_error(kind: str, unreachable_url: str) -> None:
    unavailable: GateStore = (
        make_unavailable(FakeGates()) if kind == "fake" else PostgresGates(unreachable_url)
    )
    with pytest.raises(TransientError):
        unavailable.record("run", "dbt", CUT, "good", [])
    with pytest.raises(TransientError):
        unavailable.passed("run", 7)
