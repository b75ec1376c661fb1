"""What an account is worth: marks, rounding, and the bound of a loss."""

import pytest

from paceline.core.money import SCALE
from paceline.domain.warehouse.valuation import (
    AccountAtEnd,
    Holding,
    Mark,
    Marks,
    TradeAtEnd,
    Valuation,
    unmarked,
    value,
)

MARKS = Marks({"BTC": Mark(100 * SCALE, 102 * SCALE)}, {"BTC": 100 * SCALE})


def account(*trades: TradeAtEnd, holdings: tuple[Holding, ...] = ()) -> AccountAtEnd:
    return AccountAtEnd("a", 5 * SCALE, 3 * SCALE, 2 * SCALE, list(holdings), list(trades))


def trade(side: str, *, quantity: int = 2 * SCALE, entry: int = 101, margin: int = 50) -> TradeAtEnd:
    return TradeAtEnd("BTC", side, quantity, margin * SCALE, entry * SCALE)  # type: ignore[arg-type]


def test_without_holdings_equity_is_cash_margin_and_locked_cash() -> None:
    assert value(account(), MARKS) == Valuation(10 * SCALE, 0, 0, 0)


@pytest.mark.parametrize(("side", "profit", "exposure"), [("long", -2, 200), ("short", -2, 204)])
def test_longs_are_marked_at_the_bid_and_shorts_at_the_ask(side: str, profit: int, exposure: int) -> None:
    found = value(account(trade(side)), MARKS)
    assert found == Valuation((10 + profit) * SCALE, 0, profit * SCALE, exposure * SCALE)


@pytest.mark.parametrize(("side", "entry"), [("long", 200), ("short", 1)])
def test_a_trade_loses_at_most_its_margin(side: str, entry: int) -> None:
    found = value(account(trade(side, entry=entry)), MARKS)
    assert found.unrealised_profit == -50 * SCALE


def test_a_gain_has_no_bound() -> None:
    assert value(account(trade("long", entry=1)), MARKS).unrealised_profit == 198 * SCALE


def test_assets_are_marked_at_the_bid_each_rounded_down() -> None:
    marks = Marks({}, {"BTC": SCALE + 1})
    halves = (Holding("BTC", SCALE // 2), Holding("BTC", SCALE // 2))
    found = value(account(holdings=halves), marks)
    # Each is worth 0.500000005, of which 0.5 is left.
    assert found.asset_value == SCALE
    assert found.equity == 11 * SCALE


def test_a_fraction_of_a_loss_is_rounded_up() -> None:
    marks = Marks({"BTC": Mark(SCALE - 1, SCALE)}, {})
    found = value(account(TradeAtEnd("BTC", "long", SCALE // 2, SCALE, SCALE)), marks)
    assert found.unrealised_profit == -1


def test_what_is_held_without_a_mark_is_named_once() -> None:
    held = account(trade("long"), holdings=(Holding("ETH", 1), Holding("ETH", 2), Holding("BTC", 1)))
    assert unmarked([held, held], MARKS) == ["ETH"]
    assert unmarked([held], Marks({}, {"ETH": 1, "BTC": 1})) == ["BTC"]
    assert unmarked([account()], Marks({}, {})) == []
