"""Contract of `Models`: new models are built next to the published ones and replace them at once."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import psycopg
import pytest

from paceline.adapters.postgres.warehouse.publication import PostgresModels
from paceline.core.errors import ConflictError, TransientError
from paceline.ports.warehouse import Cut, FailedExpectation, ModelStore
from tests.support.fakes.store import make_unavailable
from tests.support.fakes.warehouse.warehouse import FakeModels
from tests.support.servers import as_role

HELD = {
    "account": "ada", "cash": "12.5", "margin": "0.00000001", "locked": "0", "balances": {"BTC": "1"},
    "locked_balances": {},
}  # fmt: skip
TRADE = {
    "trade": "0:5:0", "account": "ada", "symbol": "BTC", "side": "long", "leverage": 10, "opened_us": 4,
    "quantity": "1.5", "entry_price": "100", "margin": "15", "stop_loss": None, "take_profit": "200",
    "liquidation": "91",
}  # fmt: skip
FAILURE = FailedExpectation("not_null_account", 2, [{"account": None}, {"account": None}])

# The tables that dbt builds, reduced to the columns that are read.
_BUILT = """
create schema next_staging; create schema next_intermediate; create schema next_marts;
create schema next_failures;
create table next_marts.dim_cut as select %(cut_id)s::bigint as cut_id;
create table next_marts.fct_balances as select 0 as shard, 'ada' as account, 12.5::numeric(38, 8) as cash_usd,
    0.00000001::numeric(38, 8) as margin_usd, 0::numeric(38, 8) as locked_usd,
    '{"BTC": "1"}'::jsonb as balances, '{}'::jsonb as locked_balances;
create table next_marts.fct_open_trades as select 0 as shard, '0:5:0' as trade, 'ada' as account,
    'BTC' as symbol, 'long' as side, 10 as leverage, 4::bigint as opened_us, 1.5::numeric(38, 8) as quantity,
    100::numeric(38, 8) as entry_price_usd, 15::numeric(38, 8) as margin_usd,
    null::numeric(38, 8) as stop_loss_usd, 200::numeric(38, 8) as take_profit_usd,
    91::numeric(38, 8) as liquidation_usd;
create table next_marts.leaderboard as select 'ada' as account;
create table next_failures.unique_trade (trade text);
create table next_failures.not_null_account as select null::text as account from generate_series(1, 2);
"""


@dataclass
class Subject:
    """`build` creates the models as dbt does; `published` returns the cut that readers see."""

    models: ModelStore
    build: Callable[[int], None]
    published: Callable[[], int | None]


def fake() -> Subject:
    models = FakeModels()

    def build(cut_id: int) -> None:
        models.built_at, models.held, models.trades, models.failures = (
            cut_id,
            {0: [HELD]},
            {0: [TRADE]},
            [FAILURE],
        )

    return Subject(models, build, lambda: models.publications[-1][1].cut_id if models.publications else None)


def postgres(database: str) -> Subject:
    url = as_role(database, "nightly")

    def build(cut_id: int) -> None:
        with psycopg.connect(url) as connection:
            connection.execute(_BUILT.replace("%(cut_id)s", str(cut_id)))

    def published() -> int | None:
        with psycopg.connect(url) as connection:
            there: Any = connection.execute("select to_regclass('marts.dim_cut') is not null").fetchone()
            row: Any = (
                connection.execute("select cut_id from marts.dim_cut").fetchone() if there[0] else [None]
            )
        return row[0]

    return Subject(PostgresModels(url), build, published)


@pytest.fixture(params=["fake", "postgres"])
def subject(request: pytest.FixtureRequest) -> Subject:
    return fake() if request.param == "fake" else postgres(request.getfixturevalue("fresh_database")())


def cut(cut_id: int, day: int = 2) -> Cut:
    return Cut(cut_id, date(2026, 3, day), date(2026, 3, day), 1, False, [])


def test_built_rows_have_amounts_as_decimal_strings(subject: Subject) -> None:
    subject.build(7)
    assert subject.models.cut_id() == 7
    assert [dict(row) for row in subject.models.balances(0)] == [HELD]
    assert [dict(row) for row in subject.models.open_trades(0)] == [TRADE]
    assert list(subject.models.balances(1)) == []
    assert list(subject.models.open_trades(1)) == []


def test_only_tests_that_found_rows_are_failed_tests(subject: Subject) -> None:
    subject.build(7)
    assert subject.models.failed_tests() == [FAILURE]


def test_before_a_build_and_after_prepare_there_are_no_models(subject: Subject) -> None:
    assert (subject.models.cut_id(), subject.models.failed_tests()) == (None, [])
    subject.build(7)
    subject.models.prepare()
    assert (subject.models.cut_id(), subject.models.failed_tests()) == (None, [])
    assert subject.published() is None


def test_publish_replaces_the_published_models(subject: Subject) -> None:
    subject.build(7)
    subject.models.publish("run", cut(7))
    assert (subject.published(), subject.models.cut_id()) == (7, None)
    subject.models.prepare()
    subject.build(8)
    assert subject.published() == 7
    subject.models.publish("run", cut(8))
    assert subject.published() == 8


def test_publishing_again_in_the_same_run_changes_nothing(subject: Subject) -> None:
    subject.build(7)
    subject.models.publish("run", cut(7))
    subject.models.publish("run", cut(7))
    assert subject.published() == 7


@pytest.mark.parametrize("older", [cut(6), cut(8, day=1)], ids=["cut", "day"])
def test_an_older_cut_or_day_cannot_be_published(subject: Subject, older: Cut) -> None:
    subject.build(7)
    subject.models.publish("run", cut(7))
    subject.models.prepare()
    subject.build(older.cut_id)
    with pytest.raises(ConflictError):
        subject.models.publish("late", older)
    assert (subject.published(), subject.models.cut_id()) == (7, older.cut_id)


@pytest.mark.parametrize("kind", ["fake", "postgres"])
def test_an_unavailable_store_raises_transient_error(kind: str, unreachable_url: str) -> None:
    unavailable: ModelStore = (
        make_unavailable(FakeModels()) if kind == "fake" else PostgresModels(unreachable_url)
    )
    for ask in (
        unavailable.prepare,
        unavailable.failed_tests,
        unavailable.cut_id,
        lambda: list(unavailable.balances(0)),
        lambda: list(unavailable.open_trades(0)),
        lambda: unavailable.publish("run", cut(7)),
    ):
        with pytest.raises(TransientError):
            ask()
