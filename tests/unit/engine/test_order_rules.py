"""Spot orders: every type, locks, fees, pairs. All figures are computed by hand."""

import pytest

from tests.support.scenario import EngineDriver, endings, fields_of, of_type, ready_driver, refusal_code


def place(driver: EngineDriver, **fields: object) -> str | None:
    asked = {"account": "a", "side": "buy", "order_type": "limit", "quantity": "0.1"} | fields
    return refusal_code(driver.send("place_order", **asked))


def with_coins(quantity: str = "1") -> EngineDriver:
    driver = ready_driver()
    driver.order(order_type="market", quantity=quantity)
    return driver


def test_a_market_buy_fills_at_the_ask_for_notional_and_fee() -> None:
    driver = ready_driver()
    outputs = driver.send("place_order", account="a", side="buy", order_type="market", quantity="0.333")
    response, closed, balance = outputs
    # 33.633, fee 5 bps = 0.0168165
    assert (response["price"], response["quantity"], response["fee"]) == ("101", "0.333", "0.0168165")
    assert (closed["reason"], closed["exit"], closed["profit"], closed["entry"]) == (
        "filled",
        "101",
        None,
        None,
    )
    assert (balance["cash"], balance["balances"]) == ("966.3501835", {"BTC": "0.333"})


def test_a_market_sell_fills_at_the_bid_less_the_fee() -> None:
    driver = with_coins()
    balance = driver.send("place_order", account="a", side="sell", order_type="market", quantity="1")[-1]
    # 1000 − 101.0505 + 100 − 0.05
    assert (balance["cash"], balance["balances"]) == ("998.8995", {})


def test_a_resting_buy_locks_notional_and_taker_fee_and_fills_at_the_maker_rate() -> None:
    driver = ready_driver()
    outputs = driver.send(
        "place_order", account="a", side="buy", order_type="limit", quantity="1", price="90"
    )
    response, balance = outputs
    assert (response["price"], response["quantity"], response["fee"]) == (None, None, None)
    assert (balance["cash"], balance["locked"]) == ("909.955", "90.045")
    assert driver.price("90.5", "90.6") == []
    closed, balance = driver.price("88", "89")
    # filled at 89 with 2 bps: 89.0178 of the 90.045
    assert (closed["exit"], closed["fee"], closed["opened"]) == ("89", "0.0178", response["time"])
    assert (balance["cash"], balance["locked"], balance["balances"]) == ("910.9822", "0", {"BTC": "1"})


def test_a_resting_sell_locks_the_quantity() -> None:
    driver = with_coins()
    balance = driver.send(
        "place_order", account="a", side="sell", order_type="limit", quantity="0.4", price="110"
    )[-1]
    assert (balance["balances"], balance["locked_balances"]) == ({"BTC": "0.6"}, {"BTC": "0.4"})
    assert place(driver, side="sell", quantity="0.7", price="111") == "INSUFFICIENT_BALANCE"
    closed, balance = driver.price("111", "112")
    # 44.4 less 2 bps
    assert (closed["exit"], closed["fee"]) == ("111", "0.00888")
    assert (balance["balances"], balance["locked_balances"]) == ({"BTC": "0.6"}, {})


def test_a_marketable_limit_order_fills_at_once_at_the_taker_rate() -> None:
    driver = ready_driver()
    asked = {"account": "a", "side": "buy", "order_type": "limit", "quantity": "1", "price": "105"}
    response, closed, balance = driver.send("place_order", **asked)
    assert (response["price"], response["fee"], closed["reason"]) == ("101", "0.0505", "filled")
    assert balance["locked"] == "0"


@pytest.mark.parametrize(
    ("side", "order_type", "price", "not_yet", "then", "exit_price", "fee"),
    [
        ("buy", "limit", "95", ("95", "96"), ("94", "95"), "95", "0.0019"),
        ("sell", "limit", "110", ("109", "110"), ("110", "111"), "110", "0.0022"),
        ("buy", "stop", "110", ("108", "109"), ("110", "112"), "112", "0.0056"),
        ("sell", "stop", "95", ("96", "97"), ("94", "95"), "94", "0.0047"),
        ("buy", "take_profit", "95", ("95", "96"), ("93", "94"), "94", "0.0047"),
        ("sell", "take_profit", "110", ("109", "110"), ("112", "113"), "112", "0.0056"),
    ],
)
def test_each_order_type_fires_at_its_price_and_fills_at_the_market_price(
    *,
    side: str,
    order_type: str,
    price: str,
    not_yet: tuple[str, str],
    then: tuple[str, str],
    exit_price: str,
    fee: str,
) -> None:
    driver = with_coins()
    order = driver.order(side=side, order_type=order_type, price=price)
    assert driver.price(*not_yet) == []
    outputs = driver.price(*then)
    assert endings(outputs) == [(order, "filled")]
    assert (outputs[0]["exit"], outputs[0]["fee"]) == (exit_price, fee)


def test_a_trailing_buy_follows_the_ask_down() -> None:
    driver = ready_driver()
    balance = driver.send(
        "place_order", account="a", side="buy", order_type="trailing_stop", quantity="1", distance="9"
    )[-1]
    # first level 110: 110 + 5 bps of it
    assert balance["locked"] == "110.055"
    for prices in (("91", "92"), ("94", "95"), ("99", "100")):
        assert driver.price(*prices) == []
    closed, balance = driver.price("100", "101")
    assert (closed["exit"], closed["fee"]) == ("101", "0.0505")
    assert balance["locked"] == "0"


def test_a_trailing_sell_follows_the_bid_up() -> None:
    driver = with_coins()
    order = driver.order(side="sell", order_type="trailing_stop", distance="10")
    assert driver.price("120", "121") == []
    assert driver.price("110.1", "111") == []
    assert endings(driver.price("110", "111")) == [(order, "filled")]


REFUSED_ORDERS = [
    ({"account": "unknown"}, "ACCOUNT_NOT_FOUND"),
    ({"symbol": "NONE", "price": "90"}, "MARKET_NOT_FOUND"),
    ({"quantity": "0", "price": "90"}, "INVALID_QUANTITY"),
    ({"quantity": "0.0015", "price": "90"}, "INVALID_QUANTITY"),
    ({"order_type": "stop", "price": "101"}, "INVALID_STOP"),
    ({"order_type": "stop", "side": "sell", "price": "100"}, "INVALID_STOP"),
    ({"order_type": "take_profit", "price": "101"}, "INVALID_STOP"),
    ({"order_type": "take_profit", "side": "sell", "price": "100"}, "INVALID_STOP"),
    ({"order_type": "trailing_stop", "distance": "0"}, "INVALID_STOP"),
    ({"order_type": "trailing_stop", "side": "sell", "distance": "100"}, "INVALID_STOP"),
    ({"order_type": "market", "expected_price": "100", "max_slippage_bps": 99}, "SLIPPAGE_EXCEEDED"),
    ({"price": "102", "expected_price": "100", "max_slippage_bps": 99}, "SLIPPAGE_EXCEEDED"),
    ({"order_type": "market", "quantity": "0.049"}, "BELOW_MINIMUM"),
    ({"quantity": "0.05", "price": "99"}, "BELOW_MINIMUM"),
    ({"price": "0"}, "BELOW_MINIMUM"),
    ({"price": "90", "oco_with": "0:0:0"}, "ORDER_NOT_FOUND"),
    ({"order_type": "market", "quantity": "100"}, "INSUFFICIENT_BALANCE"),
    ({"quantity": "20", "price": "90"}, "INSUFFICIENT_BALANCE"),
    ({"side": "sell", "order_type": "market"}, "INSUFFICIENT_BALANCE"),
    ({"side": "sell", "price": "150"}, "INSUFFICIENT_BALANCE"),
]


@pytest.mark.parametrize(("fields", "expected"), [(f | {"price": "90"} | f, c) for f, c in REFUSED_ORDERS])
def test_refused_orders_return_their_code(fields: dict[str, object], expected: str) -> None:
    driver = ready_driver()
    before = fields_of(driver.engine.account_view("a"))
    assert place(driver, **fields) == expected
    assert fields_of(driver.engine.account_view("a")) == before
    assert driver.engine.stats().resting_orders == 0


def test_the_slippage_bound_applies_only_to_immediate_fills() -> None:
    assert place(ready_driver(), price="90", expected_price="1", max_slippage_bps=0) is None


def test_the_minimum_uses_the_limit_price_of_a_marketable_order() -> None:
    driver = with_coins()
    # 0.051 sold at the bid of 100 is 5.1, but at its own price of 90 only 4.59
    assert place(driver, side="sell", quantity="0.051", price="90") == "BELOW_MINIMUM"
    assert place(driver, side="sell", quantity="0.051", price="99") is None


def test_a_buy_that_costs_more_than_its_lock_uses_cash() -> None:
    driver = ready_driver(balance="120")
    driver.order(order_type="stop", quantity="1", price="105")
    closed, balance = driver.price("114", "115")
    # cost 115.0575, locked 105.0525
    assert (closed["reason"], balance["cash"], balance["locked"]) == ("filled", "4.9425", "0")


def test_a_buy_that_cannot_be_paid_is_rejected_and_its_partner_cancelled() -> None:
    driver = ready_driver(balance="200")
    stop = driver.order(order_type="stop", quantity="1", price="105")
    limit = driver.order(order_type="limit", quantity="1", price="90", oco_with=stop)
    # free 4.9025; the stop would cost 120.06 of its lock of 105.0525: the partner's lock does not count
    outputs = driver.price("119", "120")
    assert endings(outputs) == [(stop, "rejected"), (limit, "cancelled")]
    assert (outputs[0]["code"], outputs[0]["exit"], outputs[0]["fee"]) == ("INSUFFICIENT_BALANCE", None, None)
    assert (outputs[-1]["cash"], outputs[-1]["locked"]) == ("200", "0")


def test_a_filled_order_cancels_its_partner() -> None:
    driver = ready_driver()
    first = driver.order(price="90")
    second = driver.order(order_type="stop", price="110", oco_with=first)
    assert place(driver, price="80", oco_with=first) == "ORDER_NOT_FOUND"
    outputs = driver.price("109", "110")
    assert endings(outputs) == [(second, "filled"), (first, "cancelled")]
    assert len(of_type(outputs, "balance_update")) == 1
    first = driver.order(price="90")
    second = driver.order(order_type="stop", price="130", oco_with=first)
    assert endings(driver.send("cancel_order", account="a", order=first)) == [
        (first, "cancelled"),
        (second, "cancelled"),
    ]


def test_an_order_that_fills_at_once_cancels_its_partner() -> None:
    driver = ready_driver()
    first = driver.order(price="90")
    outputs = driver.send(
        "place_order", account="a", side="buy", order_type="market", quantity="0.1", oco_with=first
    )
    assert endings(outputs) == [(outputs[0]["order"], "filled"), (first, "cancelled")]
    assert outputs[-1]["locked"] == "0"


def test_a_pair_may_span_two_markets() -> None:
    driver = ready_driver()
    eth = {
        "symbol": "ETH_USD",
        "base": "ETH",
        "quantity_step": "0.01",
        "min_notional": "1",
        "max_leverage": 10,
    }
    rates = {
        "maker_rate_bps": 2,
        "taker_rate_bps": 5,
        "maintenance_rate_bps": 50,
        "max_price_age_us": 5_000_000,
    }
    driver.send("configure_market", **eth, **rates)
    driver.price("10", "10.1", symbol="ETH_USD")
    first = driver.order(price="90")
    second = driver.order(price="9", symbol="ETH_USD", quantity="1", oco_with=first)
    assert endings(driver.price("8", "9", symbol="ETH_USD")) == [(second, "filled"), (first, "cancelled")]
    assert driver.price("80", "81") == []


def test_cancelling_needs_no_open_market_and_no_price() -> None:
    driver = ready_driver()
    order = driver.order(price="90")
    driver.open("b")
    assert refusal_code(driver.send("cancel_order", account="b", order=order)) == "ORDER_NOT_FOUND"
    driver.send("halt_market")
    driver.send("halt_account", account="a")
    assert (
        refusal_code(driver.send("cancel_order", account="a", order=order, time=driver.now_us + 90_000_000))
        is None
    )
    assert refusal_code(driver.send("cancel_order", account="a", order=order)) == "ORDER_NOT_FOUND"
    assert refusal_code(driver.send("cancel_order", account="unknown", order=order)) == "ACCOUNT_NOT_FOUND"


def test_fields_that_a_type_does_not_use_are_ignored() -> None:
    driver = ready_driver()
    order = driver.order(order_type="limit", price="90", distance="3")
    resting = driver.engine.resting_order(order)
    assert resting is not None
    assert resting.distance is None
    assert endings(driver.price("89", "90")) == [(order, "filled")]


def test_a_sells_fee_is_at_most_its_proceeds() -> None:
    driver = ready_driver(min_notional="0", quantity_step="0.00000001", bid="0.00000001", ask="0.00000002")
    driver.order(order_type="market", quantity="0.5")
    closed = of_type(
        driver.send("place_order", account="a", side="sell", order_type="market", quantity="0.5"),
        "closed_order",
    )[0]
    # proceeds 0.000000005 rounded down to 0; the fee of the notional rounded up would be 0.00000001
    assert closed["fee"] == "0"
