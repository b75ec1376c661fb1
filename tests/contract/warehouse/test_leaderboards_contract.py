"""What `Leaderboards` promises: the published leaderboard, page by page."""

import psycopg
import pytest

from paceline.adapters.postgres.warehouse.leaderboards import PostgresLeaderboards
from paceline.core.errors import TransientError
from paceline.ports.warehouse import LeaderboardRow, Leaderboards
from tests.support.fakes.store import make_unavailable
from tests.support.fakes.warehouse.leaderboards import FakeLeaderboards
from tests.support.leaderboard import MART
from tests.support.servers import as_role

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


@pytest.fixture(scope="module", params=["fake", "postgres"])
def leaderboards(request: pytest.FixtureRequest) -> Leaderboards:
    if request.param == "fake":
        fake = FakeLeaderboards()
        fake.board = {"all": [SECOND, UNRANKED, FIRST], "day": [TODAY]}
        fake.as_of_day, fake.provisional = "2025-09-06", True
        return fake
    with psycopg.connect(as_role(request.getfixturevalue("postgres_url"), "nightly")) as connection:
        connection.execute(MART)
    return PostgresLeaderboards(request.getfixturevalue("pool"))


def test_the_leaderboard_has_the_best_first_and_the_unranked_last(leaderboards: Leaderboards) -> None:
    found = leaderboards.leaderboard("all", offset=0, limit=10)
    assert found is not None
    assert found.rows.items == [FIRST, SECOND, UNRANKED]
    assert (found.rows.total, found.as_of_day, found.provisional) == (3, "2025-09-06", True)


def test_the_leaderboard_has_periods_and_pages(leaderboards: Leaderboards) -> None:
    second = leaderboards.leaderboard("all", offset=1, limit=1)
    day, month = (leaderboards.leaderboard(period, offset=0, limit=10) for period in ("day", "month"))
    assert second is not None
    assert day is not None
    assert month is not None
    assert (second.rows.items, second.rows.total) == ([SECOND], 3)
    assert (day.rows.items, day.rows.total) == ([TODAY], 1)
    assert (month.rows.items, month.rows.total, month.as_of_day) == ([], 0, "2025-09-06")


@pytest.mark.parametrize("kind", ["fake", "postgres"])
def test_before_the_first_publication(kind: str, request: pytest.FixtureRequest) -> None:
    if kind == "fake":
        empty: Leaderboards = FakeLeaderboards()
    else:
        database = request.getfixturevalue("fresh_database")()
        empty = PostgresLeaderboards(request.getfixturevalue("pool_of")(database))
    assert empty.leaderboard("all", offset=0, limit=10) is None


@pytest.mark.parametrize("kind", ["fake", "postgres"])
def test_an_unavailable_store_is_a_transient_error(kind: str, request: pytest.FixtureRequest) -> None:
    unavailable: Leaderboards = (
        make_unavailable(FakeLeaderboards())
        if kind == "fake"
        else PostgresLeaderboards(request.getfixturevalue("unreachable_pool"))
    )
    with pytest.raises(TransientError):
        unavailable.leaderboard("all", offset=0, limit=1)
