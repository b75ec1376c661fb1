"""Which instructions with one id ask for the same."""

import pytest
from msgspec.structs import replace

from paceline.domain.trading.idempotency import is_same_request
from paceline.messages.inbound import (
    SETS_STOP_LOSS,
    SETS_TAKE_PROFIT,
    AmendTrade,
    CancelOrder,
    CloseTrade,
    CreateTrade,
    Deposit,
    HaltMarket,
    PlaceOrder,
    ResumeMarket,
    UserInstruction,
    Withdraw,
)

TRADE = CreateTrade("i", 1, "a", "S", "long", 100, 10, stop_loss=5)
FILLED = replace(TRADE, time=2, expected_price=102, max_slippage_bps=50)


def test_id_and_time_do_not_count() -> None:
    assert is_same_request(TRADE, replace(TRADE, id="j", time=9))


def test_a_filled_in_price_does_not_count() -> None:
    assert is_same_request(TRADE, FILLED)
    assert is_same_request(replace(TRADE, max_slippage_bps=50), FILLED)
    order = PlaceOrder("i", 1, "a", "S", "buy", "market", 3)
    assert is_same_request(order, replace(order, expected_price=7, max_slippage_bps=50))


@pytest.mark.parametrize(
    "changes",
    [
        {"symbol": "T"},
        {"side": "short"},
        {"margin": 101},
        {"leverage": 9},
        {"stop_loss": None},
        {"take_profit": 200},
        {"expected_price": 101},
        {"max_slippage_bps": 51},
        {"account": "b"},
    ],
)
def test_another_value_that_the_client_names_counts(changes: dict[str, object]) -> None:
    assert not is_same_request(replace(TRADE, **changes), FILLED)


@pytest.mark.parametrize(
    ("asked", "earlier"),
    [
        (CloseTrade("i", 1, "a", "0:1:0"), CancelOrder("i", 1, "a", "0:1:0")),
        (CloseTrade("i", 1, "a", "0:1:0"), CloseTrade("i", 1, "a", "0:1:0", 5)),
        (Deposit("i", 1, "a", 5), Withdraw("i", 1, "a", 5)),
        (AmendTrade("i", 1, "a", "t", SETS_STOP_LOSS), AmendTrade("i", 1, "a", "t", SETS_TAKE_PROFIT)),
    ],
)
def test_another_kind_or_another_set_of_levels_counts(
    asked: UserInstruction, earlier: UserInstruction
) -> None:
    assert not is_same_request(asked, earlier)
    assert not is_same_request(earlier, asked)


def test_instructions_of_operators_are_compared_in_the_same_way() -> None:
    assert is_same_request(HaltMarket("i", 1, "S"), HaltMarket("i", 2, "S"))
    assert not is_same_request(HaltMarket("i", 1, "S"), HaltMarket("i", 1, "T"))
    assert not is_same_request(HaltMarket("i", 1, "S"), ResumeMarket("i", 1, "S"))
