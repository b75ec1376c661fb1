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
from paceline.usecases.trading.accounts import AccountReader
from paceline.usecases.trading.instructions import TradingGateway
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
def account_reader() -> AccountReader:
    hot, stored = FakeAccountState(), FakeAccountState()
    hot.balances["ada"], stored.balances["ada"] = HOT, STORED
    hot.trades["ada"] = [trade("late", "short", 5), trade("early", "long", 4)]
    stored.trades["ada"] = [trade("early", "long", 4)]
    return AccountReader(hot, stored, FakePrices(S=PRICE), FakeMarkets(MARKET))


def gateway(log: FakeInstructionLog) -> TradingGateway:
    return TradingGateway(
        log, FakeReplies(), FakeAnswers(), FakePrices(), lambda: 9, time.sleep, 1, 1, 50, 5_000
    )


def test_redis_is_read_first_and_postgres_when_redis_has_no_answer(account_reader: AccountReader) -> None:
    log = FakeInstructionLog()
    assert accounts.balance(account_reader, gateway(log), "ada") == HOT
    for hot in (make_unavailable(FakeAccountState()), FakeAccountState(complete=False)):
        assert accounts.balance(replace(account_reader, hot=hot), gateway(log), "ada") == STORED
    assert log.appended == []


def test_an_unknown_account_is_opened_and_its_balance_awaited(account_reader: AccountReader) -> None:
    fresh = Balance(account="bob", time=9, cash="5000", margin="0", locked="0")
    log = FakeInstructionLog(lambda _: account_reader.stored.balances.update(bob=fresh))  # type: ignore[attr-defined]
    assert not accounts.is_open(account_reader, "bob")
    assert accounts.balance(account_reader, gateway(log), "bob") == fresh
    assert log.appended == [(OpenAccount("open-bob", 9, "bob", 5_000), 0)]


def test_a_slow_opening_raises_transient_error(account_reader: AccountReader) -> None:
    with pytest.raises(TransientError, match="being opened"):
        accounts.balance(account_reader, gateway(FakeInstructionLog()), "bob")


def test_trades_are_valued_at_their_exit_price(account_reader: AccountReader) -> None:
    early, late = accounts.positions(account_reader, "ada")
    assert (early.trade, early.current_price, early.unrealised_profit, early.price_time) == (
        "early", "110", "15", 7,
    )  # fmt: skip
    assert (late.trade, late.current_price, late.unrealised_profit) == ("late", "111", "-16.5")


def test_without_prices_values_are_none(account_reader: AccountReader) -> None:
    for prices in (FakePrices(), make_unavailable(FakePrices())):
        blind = replace(account_reader, prices=prices)
        assert {one.unrealised_profit for one in accounts.positions(blind, "ada")} == {None}
        assert [one.bid for one in accounts.assets(blind)] == [None]


def test_each_order_of_a_pair_names_the_other(account_reader: AccountReader) -> None:
    account_reader.hot.orders["ada"] = [order("stop", 6, "target"), order("alone", 5), order("target", 4)]  # type: ignore[attr-defined]
    found = [(one.order, one.oco_with) for one in accounts.orders(account_reader, "ada")]
    assert found == [("target", "stop"), ("alone", None), ("stop", "target")]


def test_markets_include_prices(account_reader: AccountReader) -> None:
    [asset] = accounts.assets(account_reader)
    assert (asset.symbol, asset.bid, asset.ask, asset.price_time) == ("S", "110", "111", 7)
