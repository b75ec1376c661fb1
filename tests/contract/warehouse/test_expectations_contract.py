"""What `Expectations` promises: how many there are, and of those that fail how many rows and which."""

import psycopg
import pytest

from paceline.core.errors import TransientError
from paceline.ports.warehouse import Expectations, Failure
from quality.checkpoint import PostgresExpectations
from tests.support.fakes.store import lost
from tests.support.fakes.warehouse.warehouse import FakeExpectations

SUITES = {
    "next_marts.fct_balances": [
        ("ExpectColumnValuesToNotBeNull", {"column": "account"}),
        (
            "UnexpectedRowsExpectation",
            {
                "description": "nobody owes cash",
                "unexpected_rows_query": "select account, cash_usd from {batch} where cash_usd < 0",
            },
        ),
    ]
}
FAILURE = Failure("fct_balances: nobody owes cash", 1, [{"account": "bob", "cash_usd": "-0.00000001"}])


@pytest.fixture(scope="module", params=["fake", "postgres"])
def expectations(request: pytest.FixtureRequest) -> dict[bool, Expectations]:
    """By whether they hold."""
    if request.param == "fake":
        return {True: FakeExpectations(2), False: FakeExpectations(2, [FAILURE])}
    made: dict[bool, Expectations] = {}
    for hold, cash in ((True, "0.00000001"), (False, "-0.00000001")):
        url = request.getfixturevalue("fresh_database")()
        with psycopg.connect(url) as connection:
            connection.execute(
                "create schema next_marts; create table next_marts.fct_balances as select * from (values "
                f"('ada', 1::numeric(38, 8)), ('bob', {cash}::numeric(38, 8))) as t (account, cash_usd)"
            )
        made[hold] = PostgresExpectations(url, SUITES)
    return made


def test_they_are_counted_where_all_hold(expectations: dict[bool, Expectations]) -> None:
    assert expectations[True]() == (2, [])


def test_the_rows_that_break_one_are_counted_and_shown(expectations: dict[bool, Expectations]) -> None:
    assert expectations[False]() == (2, [FAILURE])


@pytest.mark.parametrize("kind", ["fake", "postgres"])
def test_a_store_that_is_away_is_told_as_passing(kind: str, lost_url: str) -> None:
    away: Expectations = lost(FakeExpectations(2)) if kind == "fake" else PostgresExpectations(lost_url)
    with pytest.raises(TransientError):
        away()
