"""Contract of `Answers`: it returns the original answers of the engine, not duplicates."""

import pytest

from paceline.adapters.postgres.trading.answers import PostgresAnswers
from paceline.core.errors import TransientError
from paceline.core.money import SCALE
from paceline.core.times import DAY_US
from paceline.messages.inbound import CreateTrade, Deposit
from paceline.ports.trading import AnswerStore
from tests.support.fakes.store import make_unavailable
from tests.support.fakes.trading.instructions import FakeAnswers
from tests.support.sinks import write_days
from tests.support.small_day import BTC, answers_of, small_day


@pytest.fixture(scope="module", params=["fake", "postgres"])
def answers(request: pytest.FixtureRequest) -> AnswerStore:
    if request.param == "fake":
        return FakeAnswers(*answers_of(small_day()))
    write_days(request.getfixturevalue("postgres_url"), small_day())
    return PostgresAnswers(request.getfixturevalue("pool"))


def test_find_returns_the_complete_answer(answers: AnswerStore) -> None:
    stored = answers.find("ada", "btc-2")
    assert stored is not None
    found = stored.answer
    assert (found.account, found.instruction, found.status, found.code) == ("ada", "btc-2", "accepted", None)
    assert (found.id, found.trade, found.order, found.time) == ("0:11:0", "0:11:0", None, 9)
    assert (found.price, found.quantity, found.fee) == ("101", "9.90099", "0.5")
    assert found.liquidation is not None
    assert not found.duplicate


def test_find_returns_a_refusal(answers: AnswerStore) -> None:
    stored = answers.find("ada", "too-much")
    assert stored is not None
    found = stored.answer
    assert (found.status, found.code, found.trade) == ("rejected", "INSUFFICIENT_BALANCE", None)


def test_find_returns_the_newest_answer_that_is_no_duplicate(answers: AnswerStore) -> None:
    found = answers.find("ada", "twice")
    assert found is not None
    assert (found.answer.time, found.answer.duplicate) == (12 + 2 * DAY_US, False)


def test_find_returns_the_instruction_as_it_is_on_the_log(answers: AnswerStore) -> None:
    found = answers.find("ada", "btc-2")
    assert found is not None
    assert found.message == CreateTrade(
        "btc-2", 9, "ada", BTC, "long", 100 * SCALE, 10, 95 * SCALE, 200 * SCALE
    )


def test_find_returns_the_first_instruction_of_a_repeated_id(answers: AnswerStore) -> None:
    """The repetition names another amount. It is stored too, and is not the one that was executed."""
    found = answers.find("ada", "twice")
    assert found is not None
    assert found.message == Deposit("twice", 12 + 2 * DAY_US, "ada", 2 * SCALE)


def test_since_us_excludes_older_instructions(answers: AnswerStore) -> None:
    assert answers.find("ada", "btc-2", since_us=9) is not None
    assert answers.find("ada", "btc-2", since_us=10) is None
    assert answers.find("ada", "twice", since_us=13) is not None


def test_unknown_instructions_and_those_of_other_accounts_are_not_found(answers: AnswerStore) -> None:
    assert answers.find("ada", "never") is None
    assert answers.find("bob", "btc-2") is None


@pytest.mark.parametrize("kind", ["fake", "postgres"])
def test_an_unavailable_store_raises_transient_error(kind: str, request: pytest.FixtureRequest) -> None:
    fake = kind == "fake"
    unavailable = (
        make_unavailable(FakeAnswers())
        if fake
        else PostgresAnswers(request.getfixturevalue("unreachable_pool"))
    )
    with pytest.raises(TransientError):
        unavailable.find("ada", "btc-2")
