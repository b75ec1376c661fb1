"""A full nightly run on a simulated platform: publication, gates, rerun, cold store, notebook."""

import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from psycopg.rows import dict_row

from paceline.core.errors import ConflictError
from paceline.core.money import SCALE
from paceline.ports.warehouse import Cut
from paceline.settings import Settings
from paceline.usecases.warehouse.gates import GateFailedError
from paceline.usecases.warehouse.nightly import Nightly
from tests.support.seed_warehouse import FIRST_DAY, LAST_DAY
from tests.support.servers import ROLE_PASSWORDS, as_role
from tests.support.warehouse import build, nightly_of, pass_gates, settings_of
from tests.support.warehouse_rows import SimulatedPlatform

ROOT = Path(__file__).parents[3]
Rows = list[dict[str, Any]]


class Publication:
    """The platform after the first publication."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.platform = SimulatedPlatform(url)
        self.platform.trade(FIRST_DAY, days=3)
        self.platform.store()
        self.settings: Settings = settings_of(url, folder)
        self.run: Nightly = nightly_of(self.platform, self.settings)
        self.cut, built = self.build()
        pass_gates(self.run, "first", self.cut, built=built)
        self.run.publish("first", self.cut)
        self.exported = self.run.export_month(self.cut)
        self.board = self.query("select * from marts.leaderboard order by period, account")

    def build(self) -> tuple[Cut, bool]:
        return build(self.run, self.settings, LAST_DAY)

    def query(self, text: str, *parameters: Any) -> Rows:
        with psycopg.connect(self.url, row_factory=dict_row) as connection:
            return connection.execute(text, parameters).fetchall()

    def execute(self, text: str, *parameters: Any) -> int:
        with psycopg.connect(self.url) as connection:
            return connection.execute(text, parameters).rowcount


@pytest.fixture(scope="module")
def published(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Publication]:
    return Publication(postgres_url, tmp_path_factory.mktemp("var"))


def test_a_ranked_leaderboard_is_published(published: Publication) -> None:
    ranked = [row for row in published.board if row["period"] == "all" and row["is_ranked"]]
    assert sorted(row["rank"] for row in ranked) == list(range(1, len(ranked) + 1))
    assert {row["display_name"] for row in ranked} >= {"Ada", "Bo", "Cy"}
    assert all(row["as_of_day"] == LAST_DAY and row["provisional"] is False for row in published.board)
    assert {row["period"] for row in published.board} == {"day", "week", "month", "all"}


def test_all_time_profit_is_equity_minus_deposits(published: Publication) -> None:
    for row in published.board:
        if row["period"] == "all":
            paid = published.query(
                "select sum(amount) as paid from engine.deposits where account = %s and time_us < %s",
                row["account"],
                published.cut.as_of_end_us,
            )[0]["paid"]
            assert row["profit_usd"] == row["equity_usd"] - paid


def test_every_column_has_a_description(published: Publication) -> None:
    import yaml

    documented: dict[str, set[str]] = {}
    for path in (ROOT / "dbt" / "models").rglob("*.yml"):
        for model in yaml.safe_load(path.read_text()).get("models", []):
            assert model["description"], model["name"]
            documented[model["name"]] = {c["name"] for c in model["columns"] if c["description"]}
    columns: dict[str, set[str]] = {}
    for row in published.query(
        "select table_name, column_name from information_schema.columns "
        "where table_schema in ('staging', 'intermediate', 'marts')"
    ):
        columns.setdefault(row["table_name"], set()).add(row["column_name"])
    assert columns == documented


def test_the_warehouse_has_no_email_addresses(published: Publication) -> None:
    found = published.query(
        "select table_name from information_schema.columns where column_name like '%%mail%%' "
        "and table_schema in ('staging', 'intermediate', 'marts')"
    )
    assert found == []


def test_the_analyst_role_can_only_read_marts(published: Publication) -> None:
    with psycopg.connect(as_role(published.url, "analyst")) as connection:
        assert connection.execute("select from marts.leaderboard").fetchall()
        row = connection.execute(
            "select has_table_privilege('marts.leaderboard', 'update'), "
            "has_schema_privilege('community', 'usage'), has_schema_privilege('engine', 'usage')"
        ).fetchone()
    assert row == (False, False, False)


def test_the_api_reads_the_leaderboard_and_no_other_mart(published: Publication) -> None:
    with psycopg.connect(as_role(published.url, "api"), autocommit=True) as connection:
        assert connection.execute("select from marts.leaderboard").fetchall()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select from marts.fct_closed_trades")


def test_parquet_files_equal_the_published_tables(published: Publication) -> None:
    cold = published.settings.var_dir / "cold"
    for table in ("fct_closed_trades", "fct_account_days", "dim_accounts", "leaderboard"):
        path = cold / table / "month=2026-03" / "data.parquet"
        stored = duckdb.sql(f"select * from read_parquet('{path}', hive_partitioning = false) order by all")
        names = ", ".join(f'"{name}"' for name in stored.columns)
        expected = published.query(f"select {names} from marts.{table}")
        found = [dict(zip(stored.columns, row, strict=True)) for row in stored.fetchall()]
        assert _sorted(found) == _sorted(expected)
        assert published.exported[f"{table}/2026-03"] == len(expected) > 0
    types = dict(duckdb.sql(f"describe select * from '{cold}/fct_closed_trades/*/*.parquet'").project(
        "column_name, column_type").fetchall())  # fmt: skip
    assert types["net_profit_usd"] == "DECIMAL(38,8)"


def _sorted(rows: Rows) -> list[list[str]]:
    """Sort rows; convert times to timestamps because sessions have different time zones."""
    plain = [{k: v.timestamp() if hasattr(v, "timestamp") else v for k, v in row.items()} for row in rows]
    return sorted([repr(sorted(row.items())) for row in plain])  # type: ignore[return-value]


def test_the_notebook_runs(published: Publication, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat
    from nbclient import NotebookClient

    for name, value in (ROLE_PASSWORDS | {"PACELINE_POSTGRES_URL": published.url}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PACELINE_VAR_DIR", str(published.settings.var_dir.resolve()))
    notebook = nbformat.read(ROOT / "notebooks" / "leaderboard.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "outputs are not committed"
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(ROOT)}}).execute()
    total = published.query("select sum(net_profit_usd) as total from marts.fct_closed_trades")[0]["total"]
    assert str(total) in notebook.cells[-1].outputs[0]["text"]


def test_an_inconsistent_closed_trade_stops_the_publication(published: Publication) -> None:
    bad = published.query(
        "select shard, position, ordinal from engine.closed_orders where trade is not null order by "
        "position limit 1"
    )[0]
    where = "where shard = %s and position = %s and ordinal = %s"
    key = (bad["shard"], bad["position"], bad["ordinal"])
    published.execute(f"update engine.closed_orders set profit = profit + 1 {where}", *key)
    try:
        cut, built = published.build()
        published.run.check_dbt("bad", cut, built=built)
        with pytest.raises(GateFailedError, match="the profit of a closed trade is") as caught:
            published.run.check_expectations("bad", cut)
        published.run.check_parity("bad", cut)
        with pytest.raises(ConflictError, match=r"\['expectations'\] have not passed"):
            published.run.publish("bad", cut)
    finally:
        published.execute(f"update engine.closed_orders set profit = profit - 1 {where}", *key)
    name = ":".join(str(part) for part in key)
    assert name in caught.value.message
    [result] = published.query("select * from ops.gate_results where run_id = 'bad' and not passed")
    samples = [row for one in result["details"] for row in one["rows"]]
    assert result["gate"] == "expectations"
    assert any(row.get("closed_order") == name for row in samples)
    [alert] = published.query("select * from ops.alerts where details ->> 'run_id' = 'bad'")
    assert (alert["severity"], alert["source"]) == ("critical", "gate:expectations")
    assert "the profit of a closed trade is" in alert["message"]
    assert published.query("select * from marts.leaderboard order by period, account") == published.board


def test_a_wrong_balance_stops_the_run_and_a_rerun_gives_the_same_result(published: Publication) -> None:
    cut, built = published.build()
    assert cut.cut_id != published.cut.cut_id
    account = published.query("select account from next_marts.fct_balances order by account limit 1")[0][
        "account"
    ]
    change = "update next_marts.fct_balances set cash_usd = cash_usd + %s where account = %s"
    published.execute(change, Decimal("0.00000001"), account)
    with pytest.raises(
        GateFailedError, match=r"balances of shard . are those of the engine's snapshot: 1 rows"
    ) as caught:
        published.run.check_parity("again", cut)
    assert account in caught.value.message
    published.execute(change, Decimal("-0.00000001"), account)

    published.execute("update next_marts.fct_open_trades set quantity = quantity + 1")
    with pytest.raises(GateFailedError, match="open trades of shard"):
        published.run.check_parity("again", cut)
    published.execute("update next_marts.fct_open_trades set quantity = quantity - 1")

    pass_gates(published.run, "again", cut, built=built)
    _publish_under_readers(published, cut)
    assert published.query("select * from marts.leaderboard order by period, account") == published.board
    assert published.run.export_month(cut) == published.exported


def _publish_under_readers(published: Publication, cut: Cut) -> None:
    """Publish while a reader polls; it must always see one complete leaderboard."""
    counts: list[int] = []
    done = threading.Event()

    def read() -> None:
        with psycopg.connect(published.url, autocommit=True) as connection:
            while not done.is_set():
                row = connection.execute("select count(*) from marts.leaderboard").fetchone()
                counts.append(row[0] if row else -1)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        published.run.publish("again", cut)
    finally:
        done.set()
        reader.join()
    assert set(counts) == {len(published.board)}


def test_a_damaged_snapshot_copy_fails_the_parity_gate(published: Publication) -> None:
    cut = published.run.take_cut(LAST_DAY, allow_running=False, patience_s=1)
    published.execute(
        "update ops.cut_chunks set data = jsonb_set(data, '{rows,0,1}', '1') "
        "where cut_id = %s and shard = 0 and data ->> 'part' = 'accounts' and ordinal = "
        "(select min(ordinal) from ops.cut_chunks where cut_id = %s and shard = 0 and data ->> 'part' = "
        "'accounts')",
        cut.cut_id,
        cut.cut_id,
    )
    with pytest.raises(GateFailedError, match="snapshot of shard 0 has its hash"):
        published.run.check_parity("damaged", cut)


def test_a_run_for_an_older_day_only_updates_its_metrics(published: Publication) -> None:
    cut = published.run.take_cut(FIRST_DAY, allow_running=False, patience_s=1)
    assert (cut.day, cut.as_of_day) == (FIRST_DAY, LAST_DAY)
    before = published.query("select * from ops.account_metrics where day = %s order by account", FIRST_DAY)
    published.run.compute_metrics(cut)
    after = published.query("select * from ops.account_metrics where day = %s order by account", FIRST_DAY)
    replaced = {"cut_id": 0, "updated_at": None}
    assert [row | replaced for row in before] == [row | replaced for row in after]
    assert {row["cut_id"] for row in after} == {cut.cut_id}
    ends = published.query(
        "select c.*, (select max(position) from engine.balances b where b.shard = c.shard and b.time_us "
        "< %s) as last "
        "from ops.cuts c where cut_id = %s",
        published.cut.as_of_end_us - 2 * 86_400_000_000,
        cut.cut_id,
    )
    assert all(row["last"] < row["day_end_position"] <= row["position"] for row in ends)


def test_a_running_day_is_valued_at_the_current_engine_state(published: Publication) -> None:
    """Compare equity from the engine's state and last prices with equity computed by SQL."""
    from datetime import timedelta

    platform = published.platform
    day = LAST_DAY + timedelta(days=1)
    cut = published.run.take_cut(day, allow_running=True, patience_s=1)
    assert cut.provisional
    published.run.compute_metrics(cut)
    rows = {
        row["account"]: row
        for row in published.query("select * from ops.account_metrics where day = %s", day)
    }
    extra = {one.shard: platform.engines[one.shard].position - one.position for one in cut.shards}
    assert set(extra.values()) == {1}, "one message lies beyond the cut"
    for engine in platform.engines:
        deposited_after_cut = next(iter(engine.accounts())).name
        for account in engine.accounts():
            equity = account.cash + account.margin + account.locked
            equity -= SCALE if account.name == deposited_after_cut else 0
            for asset, quantity in account.free.items():
                equity += quantity * platform.prices[f"{asset}_USDC_PERP"] // SCALE
            for trade in engine.open_trades():
                if trade.account == account.name:
                    bid = platform.prices[trade.symbol]
                    move = bid - trade.entry if trade.side == "long" else trade.entry - (bid + SCALE)
                    equity += max(-trade.margin, move * trade.quantity // SCALE)
            assert rows[account.name]["equity"] == Decimal(equity).scaleb(-8)
            assert rows[account.name]["provisional"]
    published.execute("delete from ops.account_metrics where day = %s", day)
