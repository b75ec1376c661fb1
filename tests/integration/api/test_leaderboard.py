"""The leaderboard as the warehouse publishes it, read by anybody."""

from collections.abc import Iterator

import psycopg
import pytest
from flask import Flask

from tests.support.api_stack import Stack

# The columns that the contract of the mart promises.
_MART = """
create schema marts;
create table marts.leaderboard (
    period text, rank int, account text, display_name text, profit_usd numeric(38, 8),
    return_ratio double precision, equity_usd numeric(38, 8), win_rate double precision,
    profit_factor double precision, max_drawdown double precision, sharpe double precision,
    average_holding_s double precision, trades int, minimum_trades int, days int, is_ranked boolean,
    as_of_day date, provisional boolean
);
insert into marts.leaderboard values
    ('all', 2, 'a2', 'Second', 10.5, 0.0021, 5010.5, 0.5, 1.2, -0.01, 0.4, 60, 4,
        3, 2, true, date '2025-09-06', true),
    ('all', null, 'a3', 'New', 900, null, 5900, null, null, null, null, null, 0,
        3, 0, false, date '2025-09-06', true),
    ('all', 1, 'a1', 'First', 412.07, 0.0824, 5412.07, 0.61, null, 0, 2.1, 318.5, 41,
        3, 2, true, date '2025-09-06', true),
    ('day', 1, 'a2', 'Second', -3, -0.0006, 5010.5, 0.5, 0.2, -0.01, null, 60, 4,
        3, 1, true, date '2025-09-06', true);
"""


@pytest.fixture
def published(stack: Stack) -> Iterator[None]:
    with psycopg.connect(stack.settings.database_url, autocommit=True) as connection:
        connection.execute(_MART)
        yield
        connection.execute("drop schema marts cascade")


@pytest.mark.usefixtures("published")
def test_best_first_and_the_unranked_last(app: Flask) -> None:
    data = app.test_client().get("/api/v1/leaderboard").json["data"]
    assert [row["display_name"] for row in data["items"]] == ["First", "Second", "New"]
    assert (data["as_of_day"], data["provisional"], data["reason"]) == ("2025-09-06", True, None)
    first, _, new = data["items"]
    assert (first["rank"], first["profit_usd"], first["return_ratio"], first["profit_factor"]) == (
        1,
        "412.07",
        0.0824,
        None,
    )
    assert (new["rank"], new["is_ranked"], new["return_ratio"]) == (None, False, None)


@pytest.mark.usefixtures("published")
def test_periods_and_pages(app: Flask) -> None:
    client = app.test_client()
    day = client.get("/api/v1/leaderboard?period=day").json["data"]
    assert [(row["account"], row["profit_usd"]) for row in day["items"]] == [("a2", "-3")]
    second = client.get("/api/v1/leaderboard?page=2&per_page=1").json["data"]
    assert [row["rank"] for row in second["items"]] == [2]
    assert second["pagination"] == {"page": 2, "per_page": 1, "total": 3, "total_pages": 3}
    empty = client.get("/api/v1/leaderboard?period=month").json["data"]
    assert (empty["items"], empty["as_of_day"]) == ([], "2025-09-06")
