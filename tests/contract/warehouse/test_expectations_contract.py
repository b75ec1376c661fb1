"""Contract of `Expectations`: their count, and for each failed one the number of rows and samples."""

import psycopg
import pytest

from paceline.core.errors import TransientError
from paceline.ports.warehouse import ExpectationChecker, FailedExpectation
from quality.checkpoint import PostgresExpectations
from tests.support.fakes.store import make_unavailable
from tests.support.fakes.warehouse.warehouse import FakeExpectations
from tests.support.servers import as_role

SUITES = {
    "next_marts.fct_balances": [
        ("ExpectColumnValuesToNotBeNull", {"column": "account"}),
        (
            "UnexpectedRowsExpectation",
            {
                "description": "cash is not negative",
                "unexpected_rows_query": "select account, cash_usd from {batch} where cash_usd < 0",
            },
        ),
    ]
}
FAILURE = FailedExpectation(
    "fct_balances: cash is not negative", 1, [{"account": "bob", "cash_usd": "-0.00000001"}]
)


@pytest.fixture(scope="module", params=["fake", "postgres"])
def expectations(request: pytest.FixtureRequest) -> dict[bool, ExpectationChecker]:
    """Keyed by whether all expectations pass."""
    if request.param == "fake":
        return {True: FakeExpectations(2), False: FakeExpectations(2, [FAILURE])}
    made: dict[bool, ExpectationChecker] = {}
    for hold, cash in ((True, "0.00000001"), (False, "-0.00000001")):
        url = as_role(request.getfixturevalue("fresh_database")(), "nightly")
        with psycopg.connect(url) as connection:
            connection.execute(
                "create schema next_marts; create table next_marts.fct_balances as select * from (values "
                f"('ada', 1::numeric(38, 8)), ('bob', {cash}::numeric(38, 8))) as t (account, cash_usd)"
            )
        made[hold] = PostgresExpectations(url, SUITES)
    return made


def test_passing_expectations_are_counted(expectations: dict[bool, ExpectationChecker]) -> None:
    assert expectations[True]() == (2, [])


def test_a_failure_has_its_row_count_and_sample_rows(expectations: dict[bool, ExpectationChecker]) -> None:
    assert expectations[False]() == (2, [FAILURE])


@pytest.mark.parametrize("kind", ["fake", "postgres"])
def test_an_unavailable_store_raises_transient_error(kind: str, unreachable_url: str) -> None:
    unavailable: ExpectationChecker = (
        make_unavailable(FakeExpectations(2)) if kind == "fake" else PostgresExpectations(unreachable_url)
    )
    with pytest.raises(TransientError):
        unavailable()
