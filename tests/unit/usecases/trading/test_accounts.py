"""Account state: read from Redis, or from Postgres if needed, valued at the last price if known."""

import time
from dataclasses import replace

import pytest

from paceline.core.errors import TransientError
from paceline.core.money import SCALE
from paceline.messages.inbound import OpenAccount
from paceline.ports.market import Market, Price
from paceline.ports.trading import Balance, OpenTrade, RestingOrder
from paceline.usecases.trading import accounts
from paceline.usecases.trading.accounts import Sight
from paceline.usecases.trading.instructions import Desk
from tests.support.fakes.market.markets import FakeMarkets
from tests.support.fakes.store import make_unavailable
from tests.support.fakes.trading.account_state import FakeAccountState
from tests.support.fakes.trading.instructions import FakeAnswers, FakeInstructionLog, FakePrices, FakeReplies

HOT = Balance(account="ada", time=2, cash="9", margin="0", locked="0")
STORED = Balance(account="ada", time=1, cash="8", margin="0", locked="0")
PRICE = Price(110 * SCALE, 111 * SCALE, 7)
MARKET = Market(
    symbol="S", base="B", quantity_step="1", min_notional="5", max_leverage=9, maker_rate_bps=1,
    taker_rate_bps=2, maintenance_rate_bps=3,
)  # fmt: skip


def trade(name: str, side: str, opened: int) -> OpenTrade:
    return OpenTrade(
        trade=name, symbol="S", side=side, leverage=2, entry="100", quantity="1.5", margin="75", opened=opened
    )


def order(name: str, opened: int, oco_with: str | None = None) -> RestingOrder:
    return RestingOrder(
        order=name,
        symbol="S",
        side="sell",
        order_type="limit",
        quantity="1",
        opened=opened,
        oco_with=oco_with,
    )


@pytest.fixture
def sight() -> Sight:
    hot, stored = FakeAccountState(), FakeAccountState()
    hot.balances["ada"], stored.balances["ada"] = HOT, STORED
    hot.trades["ada"] = [trade("late", "short", 5), trade("early", "long", 4)]
    stored.trades["ada"] = [trade("early", "long", 4)]
    return Sight(hot, stored, FakePrices(S=PRICE), FakeMarkets(MARKET))


def desk(log: FakeInstructionLog) -> Desk:
    return Desk(log, FakeReplies(), FakeAnswers(), FakePrices(), lambda: 9, time.sleep, 1, 1, 50, 5_000)


def test_redis_is_read_first_and_postgres_when_redis_has_no_answer(sight: Sight) -> None:
    log = FakeInstructionLog()
    assert accounts.balance(sight, desk(log), "ada") == HOT
    for hot in (make_unavailable(FakeAccountState()), FakeAccountState(complete=False)):
        assert accounts.balance(replace(sight, hot=hot), desk(log), "ada") == STORED
    assert log.appended == []


def test_an_unknown_account_is_opened_and_its_balance_awaited(sight: Sight) -> None:
    fresh = Balance(account="bob", time=9, cash="5000", margin="0", locked="0")
    log = FakeInstructionLog(lambda _: sight.stored.balances.update(bob=fresh))  # type: ignore[attr-defined]
    assert not accounts.is_open(sight, "bob")
    assert accounts.balance(sight, desk(log), "bob") == fresh
    assert log.appended == [(OpenAccount("open-bob", 9, "bob", 5_000), 0)]


def test_a_slow_opening_raises_transient_error(sight: Sight) -> None:
    with pytest.raises(TransientError, match="being opened"):
        accounts.balance(sight, desk(FakeInstructionLog()), "bob")


def test_trades_are_valued_at_their_exit_price(sight: Sight) -> None:
    early, late = accounts.positions(sight, "ada")
    assert (early.trade, early.current_price, early.unrealised_profit, early.price_time) == (
        "early", "110", "15", 7,
    )  # fmt: skip
    assert (late.trade, late.current_price, late.unrealised_profit) == ("late", "111", "-16.5")


def test_without_prices_values_are_none(sight: Sight) -> None:
    for prices in (FakePrices(), make_unavailable(FakePrices())):
        blind = replace(sight, prices=prices)
        assert {one.unrealised_profit for one in accounts.positions(blind, "ada")} == {None}
        assert [one.bid for one in accounts.assets(blind)] == [None]


def test_each_order_of_a_pair_names_the_other(sight: Sight) -> None:
    sight.hot.orders["ada"] = [order("stop", 6, "target"), order("alone", 5), order("target", 4)]  # type: ignore[attr-defined]
    found = [(one.order, one.oco_with) for one in accounts.orders(sight, "ada")]
    assert found == [("target", "stop"), ("alone", None), ("stop", "target")]


def test_markets_include_prices(sight: Sight) -> None:
    [asset] = accounts.assets(sight)
    assert (asset.symbol, asset.bid, asset.ask, asset.price_time) == ("S", "110", "111", 7)
