"""Gates that stop a publication, and the export of published tables to the cold store."""

from datetime import date

import pytest

from paceline.core.errors import ConflictError, TransientError
from paceline.engine import Engine
from paceline.messages.inbound import OpenAccount
from paceline.ports.warehouse import Cut, FailedExpectation, ShardCut
from paceline.usecases.warehouse.account_metrics import compute_account_metrics
from paceline.usecases.warehouse.gates import GateFailedError, check_dbt, check_expectations, check_parity
from paceline.usecases.warehouse.publish import GATES, export_month, publish
from tests.support.fakes.warehouse.warehouse import (
    FakeColdStore,
    FakeCuts,
    FakeExpectations,
    FakeGates,
    FakeMetrics,
    FakeModels,
)

DAY = date(2026, 3, 31)
CUT = Cut(7, DAY, DAY, 1, False, [])
FAILURE = FailedExpectation("it adds up", 2, [{"closed_order": "0:1:2"}])


def passed(*gates: str) -> FakeGates:
    store = FakeGates()
    for gate in gates:
        store.record("run", gate, CUT, "good", [])  # type: ignore[arg-type]
    return store


def test_a_cut_that_passed_every_gate_is_published() -> None:
    models = FakeModels(built_at=7)
    publish(passed(*GATES), models, "run", CUT)
    assert models.publications == [("run", CUT)]


@pytest.mark.parametrize("missing", sorted(GATES))
def test_a_missing_gate_prevents_the_publication(missing: str) -> None:
    models = FakeModels(built_at=7)
    with pytest.raises(ConflictError, match=missing):
        publish(passed(*GATES - {missing}), models, "run", CUT)
    assert models.publications == []


def test_models_of_another_cut_are_not_published() -> None:
    models = FakeModels(built_at=8)
    with pytest.raises(ConflictError, match="built from cut 8, not 7"):
        publish(passed(*GATES), models, "run", CUT)
    assert models.publications == []


def test_a_failed_gate_names_the_rows_and_is_recorded() -> None:
    gates = FakeGates()
    with pytest.raises(GateFailedError, match="0:1:2"):
        check_expectations(gates, FakeExpectations(9, [FAILURE]), "run", CUT)
    assert gates.alerts == ["it adds up: 2 rows"]
    assert check_expectations(gates, FakeExpectations(9), "run", CUT) == "all 9 expectations hold"
    assert gates.passed("run", 7) == {"expectations"}


def test_a_failed_build_and_a_failed_test_fail_the_gate() -> None:
    gates = FakeGates()
    with pytest.raises(GateFailedError, match="every model builds"):
        check_dbt(gates, FakeModels(), "run", CUT, built=False)
    with pytest.raises(GateFailedError, match="it adds up"):
        check_dbt(gates, FakeModels(failures=[FAILURE]), "run", CUT, built=True)
    check_dbt(gates, FakeModels(), "run", CUT, built=True)
    assert gates.passed("run", 7) == {"dbt"}


def test_parity_detects_a_difference_of_one_unit() -> None:
    engine = Engine(0)
    engine.apply(OpenAccount("o", 1, "ada", 5))
    capture = engine.begin_capture()
    cuts = FakeCuts(snapshot_chunks={0: list(capture.slices(3))})
    cut_id, _ = cuts.copy_snapshots(DAY)
    cut = Cut(cut_id, DAY, DAY, 1, False, [ShardCut(0, capture.position, capture.position, 1, capture.hash)])
    row = {"account": "ada", "cash": "0.00000005", "margin": "0", "locked": "0"}
    row |= {"balances": {}, "locked_balances": {}}  # type: ignore[dict-item]
    gates = FakeGates()
    assert "1 balances" in check_parity(gates, cuts, FakeModels(held={0: [row]}), "run", cut)
    with pytest.raises(GateFailedError, match="balances of shard 0"):
        check_parity(gates, cuts, FakeModels(held={0: [row | {"cash": "0.00000006"}]}), "run", cut)
    with pytest.raises(GateFailedError, match="balances of shard 0"):
        check_parity(gates, cuts, FakeModels(), "run", cut)


def test_a_holding_without_a_price_stops_the_computation() -> None:
    metrics = FakeMetrics(opened={"ada": 0}, held={"BTC": 0})
    cut = Cut(1, date(1970, 1, 1), date(1970, 1, 1), 1, False, [])
    with pytest.raises(TransientError, match="BTC"):
        compute_account_metrics(metrics, cut)
    assert metrics.rows == {}
    metrics.barred["BTC"] = 0
    compute_account_metrics(metrics, cut)
    assert metrics.rows == {cut.day: (cut, ["ada"])}


def test_the_months_of_the_cut_and_of_the_published_day_are_exported() -> None:
    """Tables without a day column are exported only for the month of the published day."""
    cold = FakeColdStore(
        {
            "fct_closed_trades": [{"closed_day": DAY}, {"closed_day": date(2026, 4, 1)}],
            "fct_account_days": [{"day": DAY}],
            "dim_accounts": [{"account": "ada"}],
            "leaderboard": [{"account": "ada"}, {"account": "bob"}],
        }
    )
    assert export_month(cold, Cut(7, DAY, date(2026, 4, 2), 1, False, [])) == {
        "fct_closed_trades/2026-03": 1,
        "fct_account_days/2026-03": 1,
        "fct_closed_trades/2026-04": 1,
        "fct_account_days/2026-04": 0,
        "dim_accounts/2026-04": 1,
        "leaderboard/2026-04": 2,
    }
    december = Cut(7, date(2026, 12, 5), date(2026, 12, 5), 1, False, [])
    assert export_month(cold, december)["fct_closed_trades/2026-12"] == 0
