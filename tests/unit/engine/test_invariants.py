"""The engine stops where a promise of its own is broken, instead of going on with a wrong state."""

from collections.abc import Callable

import pytest

from paceline.core.money import SCALE
from paceline.engine import orders, trades
from paceline.engine.engine import _INSTRUCTIONS, _instruct
from paceline.engine.markets import configure_market, update_price
from paceline.engine.numbers import margin_of_part
from paceline.engine.records import UNSET, Account, Order, Trade
from paceline.engine.refusals import Refusal
from paceline.engine.state import State
from paceline.engine.turn import Turn
from paceline.messages.inbound import ConfigureMarket, Deposit, PriceUpdate

SYMBOL = "BTC_USDC_PERP"


@pytest.fixture
def state() -> State:
    made = State(0)
    configure_market(made, ConfigureMarket("m", 1, SYMBOL, "BTC", 1, 0, 100, 0, 0, 0, 10**9))
    update_price(made, PriceUpdate("p", 1, SYMBOL, 100 * SCALE, 1, 101 * SCALE, 1, 1))
    made.accounts.add("a", Account("a", 1000 * SCALE, 0, 0, {}, {}, False))
    return made


def trade(*, quantity: int = SCALE, margin: int = 10 * SCALE, liquidation: int | None = 50 * SCALE) -> Trade:
    return Trade(
        "0:1:0", "a", SYMBOL, "long", quantity, 101 * SCALE, margin, 10, 1, 1, liquidation,
        None, UNSET, None, UNSET, None, UNSET,
    )  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [trade(quantity=0), trade(margin=0), trade(liquidation=100 * SCALE)],
    ids=["no quantity", "no margin", "liquidates at once"],
)
def test_a_trade_that_no_rule_allows_is_not_opened(state: State, wrong: Trade) -> None:
    with pytest.raises(AssertionError):
        trades._open(Turn(state, "i", "a"), state.markets[SYMBOL], wrong, 0)
    assert len(state.trades) == 0


@pytest.mark.parametrize(
    ("part", "fee", "share"),
    [(0, 0, 0), (2 * SCALE, 0, 0), (SCALE, 0, 11 * SCALE), (SCALE, 11 * SCALE, 10 * SCALE)],
    ids=["nothing", "more than all", "more margin than there is", "a fee above what is left"],
)
def test_a_closing_releases_at_most_what_the_trade_has(state: State, part: int, fee: int, share: int) -> None:
    open_trade = trade()
    state.trades.add(open_trade.id, open_trade)
    with pytest.raises(AssertionError):
        trades._settle(Turn(state, "i", "a"), open_trade, part, (100 * SCALE, 0, fee, share), "user")
    assert state.trades.get(open_trade.id) is open_trade


@pytest.mark.parametrize("part", [0, 3])
def test_a_part_is_a_part_of_the_quantity(part: int) -> None:
    with pytest.raises(AssertionError):
        margin_of_part(10, part, 2)


@pytest.mark.parametrize(
    ("quantity", "lock"), [(0, 0), (SCALE, -1)], ids=["no quantity", "a lock below zero"]
)
def test_an_order_that_no_rule_allows_is_not_filled(state: State, quantity: int, lock: int) -> None:
    order = Order("0:1:0", "a", SYMBOL, "buy", "limit", quantity, SCALE, None, lock, None, 1, 1)
    with pytest.raises(AssertionError):
        orders._fill(Turn(state), state.markets[SYMBOL], order, SCALE, 0)
    account = state.accounts.get("a")
    assert account is not None
    assert (account.cash, account.free) == (1000 * SCALE, {})


def refuses_after_its_answer(turn: Turn, message: Deposit, account: Account) -> Refusal:
    turn.accept()
    return "INSUFFICIENT_BALANCE"


def refuses_after_a_change(turn: Turn, message: Deposit, account: Account) -> Refusal:
    turn.changed[account.name] = account
    return "INSUFFICIENT_BALANCE"


@pytest.mark.parametrize("handler", [refuses_after_its_answer, refuses_after_a_change])
def test_a_refused_instruction_changes_nothing(
    state: State, handler: Callable[[Turn, Deposit, Account], Refusal]
) -> None:
    assert Deposit in _INSTRUCTIONS
    with pytest.raises(AssertionError):
        _instruct(state, Deposit("i", 1, "a", 1), handler)
