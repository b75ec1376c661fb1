"""Contract of `Records`: closed orders, the leaderboard and the markets, in pages."""

import psycopg
import pytest
from paceline.adapters.postgres.records import PostgresRecords
from paceline.ports.account_state import Market
from paceline.ports.records import ClosedOrderRow, LeaderboardRow, Records

from paceline.core.errors import TransientError
from tests.support.fakes.records import FakeRecords
from tests.support.fakes.store import make_unavailable
from tests.support.leaderboard import MART
from tests.support.sinks import write_days
from tests.support.small_day import BTC, ETH, closed_of, small_day

UNRANKED = LeaderboardRow(
    rank=None, account="a3", display_name="New", profit_usd="900", return_ratio=None, win_rate=None,
    profit_factor=None, max_drawdown=None, sharpe=None, average_holding_s=None, trades=0, is_ranked=False,
)  # fmt: skip
FIRST = LeaderboardRow(
    rank=1, account="a1", display_name="First", profit_usd="412.07", return_ratio=0.0824, win_rate=0.61,
    profit_factor=None, max_drawdown=0.0, sharpe=2.1, average_holding_s=318.5, trades=41, is_ranked=True,
)  # fmt: skip
SECOND = LeaderboardRow(
    rank=2, account="a2", display_name="Second", profit_usd="10.5", return_ratio=0.0021, win_rate=0.5,
    profit_factor=1.2, max_drawdown=-0.01, sharpe=0.4, average_holding_s=60.0, trades=4, is_ranked=True,
)  # fmt: skip
TODAY = LeaderboardRow(
    rank=1, account="a2", display_name="Second", profit_usd="-3", return_ratio=-0.0006, win_rate=0.5,
    profit_factor=0.2, max_drawdown=-0.01, sharpe=None, average_holding_s=60.0, trades=4, is_ranked=True,
)  # fmt: skip


def asset(symbol: str) -> Market:
    return Market(
        symbol=symbol, base=symbol.partition("_")[0], quantity_step="0.00001", min_notional="5",
        max_leverage=100, maker_rate_bps=2, taker_rate_bps=5, maintenance_rate_bps=50,
    )  # fmt: skip


def fake() -> FakeRecords:
    records = FakeRecords(asset(ETH), asset(BTC))
    records.closed["ada"] = closed_of(small_day(), "ada")
    records.board = {"all": [SECOND, UNRANKED, FIRST], "day": [TODAY]}
    records.as_of_day, records.provisional = "2025-09-06", True
    return records


@pytest.fixture(scope="module", params=["fake", "postgres"])
def records(request: pytest.FixtureRequest) -> Records:
    if request.param == "fake":
        return fake()
    url = request.getfixturevalue("postgres_url")
    write_days(url, small_day())
    with psycopg.connect(url) as connection:
        connection.execute(MART)
    return PostgresRecords(request.getfixturevalue("pool"))


@pytest.fixture(params=["fake", "postgres"])
def empty(request: pytest.FixtureRequest) -> Records:
    if request.param == "fake":
        return FakeRecords()
    database = request.getfixturevalue("fresh_database")()
    return PostgresRecords(request.getfixturevalue("pool_of")(database))


def closed(
    records: Records,
    account: str = "ada",
    *,
    symbol: str | None = None,
    between: tuple[int | None, int | None] = (None, None),
    offset: int = 0,
    limit: int = 10,
) -> tuple[list[ClosedOrderRow], int]:
    page = records.closed_orders(
        account, symbol=symbol, from_us=between[0], to_us=between[1], offset=offset, limit=limit
    )
    return page.items, page.total


def test_closed_orders_are_complete_and_newest_first(records: Records) -> None:
    items, total = closed(records)
    assert items == closed_of(small_day(), "ada")[::-1]
    assert [(item.closed, item.symbol, item.remaining) for item in items] == [
        (8, BTC, "0"),
        (6, ETH, "0"),
        (5, ETH, "8.0909"),
    ]
    assert total == 3


def test_closed_orders_are_paged(records: Records) -> None:
    everything, _ = closed(records)
    assert closed(records, offset=1, limit=1) == (everything[1:2], 3)
    assert closed(records, offset=3) == ([], 3)


def test_closed_orders_are_filtered_by_symbol_and_time(records: Records) -> None:
    everything, _ = closed(records)
    assert closed(records, symbol=ETH) == (everything[1:], 2)
    assert closed(records, between=(6, 8)) == (everything[1:2], 1)
    assert closed(records, "bob") == ([], 0)


def test_the_leaderboard_is_sorted_by_rank_with_unranked_rows_last(records: Records) -> None:
    found = records.leaderboard("all", offset=0, limit=10)
    assert found is not None
    assert found.rows.items == [FIRST, SECOND, UNRANKED]
    assert (found.rows.total, found.as_of_day, found.provisional) == (3, "2025-09-06", True)


def test_the_leaderboard_has_periods_and_pages(records: Records) -> None:
    second = records.leaderboard("all", offset=1, limit=1)
    day, month = (records.leaderboard(period, offset=0, limit=10) for period in ("day", "month"))
    assert second is not None
    assert day is not None
    assert month is not None
    assert (second.rows.items, second.rows.total) == ([SECOND], 3)
    assert (day.rows.items, day.rows.total) == ([TODAY], 1)
    assert (month.rows.items, month.rows.total, month.as_of_day) == ([], 0, "2025-09-06")


def test_markets_returns_the_configured_markets(records: Records) -> None:
    assert records.markets() == [asset(BTC), asset(ETH)]


def test_a_new_installation_is_empty(empty: Records) -> None:
    assert empty.leaderboard("all", offset=0, limit=10) is None
    assert empty.markets() == []
    assert closed(empty) == ([], 0)


@pytest.mark.parametrize("kind", ["fake", "postgres"])
def test_an_unavailable_store_raises_transient_error(kind: str, request: pytest.FixtureRequest) -> None:
    fake = kind == "fake"
    unavailable: Records = (
        make_unavailable(FakeRecords())
        if fake
        else PostgresRecords(request.getfixturevalue("unreachable_pool"))
    )
    with pytest.raises(TransientError):
        closed(unavailable)
    with pytest.raises(TransientError):
        unavailable.leaderboard("all", offset=0, limit=1)
    with pytest.raises(TransientError):
        unavailable.markets()
