"""Trades: entry, exit, liquidation, partial closes, amendments. All figures are computed by hand."""

import pytest

from tests.support.scenario import EngineDriver, endings, fields_of, of_type, ready_driver, refusal_code


def test_a_long_enters_at_the_ask_and_pays_the_taker_fee_on_the_notional_rounded_up() -> None:
    driver = ready_driver()
    response, balance = driver.send("create_trade", account="a", side="long", margin="10", leverage=10)
    # 10 × 10 / 101 = 0.990099…, down to 0.990; notional 99.99, fee 5 bps of it = 0.049995
    assert (response["price"], response["quantity"], response["fee"]) == ("101", "0.99", "0.049995")
    # maintenance 0.49995; distance 9.50005 / 0.99 = 9.59601010…; 101 − that
    assert response["liquidation"] == "91.4039899"
    assert response["trade"] == response["id"]
    assert (balance["cash"], balance["margin"]) == ("989.950005", "10")


def test_a_short_enters_at_the_bid_and_leaves_at_the_ask() -> None:
    driver = ready_driver()
    response = driver.send("create_trade", account="a", side="short", margin="10", leverage=10)[0]
    # 100 / 100 = 1; maintenance 0.5; distance 9.5
    assert (response["price"], response["quantity"], response["liquidation"]) == ("100", "1", "109.5")
    closed = of_type(driver.send("close_trade", account="a", trade=response["trade"]), "closed_order")[0]
    assert (closed["exit"], closed["profit"], closed["fee"]) == ("101", "-1", "0.0505")
    assert closed["remaining"] == "0"


def test_a_long_without_leverage_has_no_liquidation_level() -> None:
    driver = ready_driver(maintenance_rate_bps=0)
    assert (
        driver.send("create_trade", account="a", side="long", margin="101", leverage=1)[0]["liquidation"]
        is None
    )


def test_closing_returns_margin_and_profit_less_the_fee() -> None:
    driver = ready_driver()
    trade = driver.trade()
    driver.price("110", "111")
    response, closed, balance = driver.send("close_trade", account="a", trade=trade)
    # (110 − 101) × 0.99 = 8.91; fee 5 bps of 108.9 = 0.05445
    assert (response["price"], response["quantity"], response["fee"]) == ("110", "0.99", "0.05445")
    assert (closed["profit"], closed["margin"], closed["reason"]) == ("8.91", "10", "user")
    # 989.950005 + 10 + 8.91 − 0.05445
    assert (balance["cash"], balance["margin"]) == ("1008.805555", "0")


def test_partial_closes_share_the_margin_and_the_last_gets_the_rest() -> None:
    driver = ready_driver()
    trade = driver.trade()
    closed = of_type(driver.send("close_trade", account="a", trade=trade, quantity="0.3339"), "closed_order")[
        0
    ]
    # down to the step: 0.333; share 10 × 0.333 / 0.99 = 3.36363636
    assert (closed["quantity"], closed["margin"], closed["remaining"]) == ("0.333", "3.36363636", "0.657")
    closed = of_type(driver.send("close_trade", account="a", trade=trade, quantity="7"), "closed_order")[0]
    assert (closed["quantity"], closed["margin"], closed["remaining"]) == ("0.657", "6.63636364", "0")


def test_a_loss_is_limited_to_the_margin() -> None:
    driver = ready_driver()
    trade = driver.trade()
    closed, balance = driver.price("80", "81")
    # loss 21 × 0.99 = 20.79 of a margin of 10: the insurance pays 10.79, and no fee is taken
    assert (closed["trade"], closed["reason"], closed["profit"], closed["fee"]) == (
        trade,
        "liquidation",
        "-20.79",
        "0",
    )
    assert (balance["cash"], balance["margin"]) == ("989.950005", "0")
    assert driver.engine.ledger()["USD"]["insurance"] == -10_79000000


def test_the_exit_fee_is_at_most_the_remaining_margin() -> None:
    # At 90.90: loss 10.1 × 0.99 = 9.999, left 0.001; the fee of 0.0449955 is cut to it.
    driver = ready_driver(maintenance_rate_bps=0)
    driver.trade(stop_loss="91")
    closed_order = driver.price("90.90", "91")[0]
    assert (closed_order["profit"], closed_order["fee"]) == ("-9.999", "0.001")


REFUSED_TRADES = [
    ({"account": "unknown"}, "ACCOUNT_NOT_FOUND"),
    ({"symbol": "NONE"}, "MARKET_NOT_FOUND"),
    ({"leverage": 0}, "LEVERAGE_OUT_OF_RANGE"),
    ({"leverage": -3}, "LEVERAGE_OUT_OF_RANGE"),
    ({"leverage": 101}, "LEVERAGE_OUT_OF_RANGE"),
    ({"stop_loss": "100"}, "INVALID_STOP"),
    ({"take_profit": "101"}, "INVALID_STOP"),
    ({"trailing_stop": "0"}, "INVALID_STOP"),
    ({"trailing_stop": "100"}, "INVALID_STOP"),
    ({"side": "short", "stop_loss": "101"}, "INVALID_STOP"),
    ({"side": "short", "take_profit": "100"}, "INVALID_STOP"),
    ({"expected_price": "100", "max_slippage_bps": 99}, "SLIPPAGE_EXCEEDED"),
    ({"side": "short", "expected_price": "101", "max_slippage_bps": 99}, "SLIPPAGE_EXCEEDED"),
    ({"margin": "0"}, "BELOW_MINIMUM"),
    ({"margin": "4.99", "leverage": 1}, "BELOW_MINIMUM"),
    ({"margin": "1", "leverage": 100}, "LIQUIDATES_AT_ONCE"),
    ({"margin": "1000"}, "INSUFFICIENT_BALANCE"),
]


@pytest.mark.parametrize(("fields", "expected"), REFUSED_TRADES)
def test_refused_trades_return_their_code(fields: dict[str, object], expected: str) -> None:
    driver = ready_driver()
    before = fields_of(driver.engine.account_view("a"))
    asked = {"account": "a", "side": "long", "margin": "10", "leverage": 10} | fields
    assert refusal_code(driver.send("create_trade", **asked)) == expected
    assert fields_of(driver.engine.account_view("a")) == before
    assert driver.engine.stats().open_trades == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"expected_price": "100", "max_slippage_bps": 100},
        {"expected_price": "1"},
        {"max_slippage_bps": 0},
        {"side": "short", "trailing_stop": "5000"},
        {"stop_loss": "0"},
        {"stop_loss": None, "take_profit": None},
    ],
)
def test_trades_at_the_limits_are_accepted(fields: dict[str, object]) -> None:
    asked = {"account": "a", "side": "long", "margin": "10", "leverage": 10} | fields
    assert refusal_code(ready_driver().send("create_trade", **asked)) is None


def test_the_first_applicable_refusal_is_returned() -> None:
    driver = EngineDriver()
    asked = {"account": "a", "symbol": "NONE", "side": "long", "margin": "0", "leverage": 0}
    assert refusal_code(driver.send("create_trade", **asked)) == "ACCOUNT_NOT_FOUND"
    driver.open()
    driver.send("halt_account", account="a")
    assert refusal_code(driver.send("create_trade", **asked)) == "ACCOUNT_HALTED"
    driver.send("resume_account", account="a")
    assert refusal_code(driver.send("create_trade", **asked)) == "MARKET_NOT_FOUND"
    asked["symbol"] = "BTC_USD"
    driver.send("halt_market")
    assert refusal_code(driver.send("create_trade", **asked)) == "MARKET_HALTED"
    driver.send("resume_market")
    assert refusal_code(driver.send("create_trade", **asked)) == "PRICE_STALE"
    driver.price("100", "101")
    assert refusal_code(driver.send("create_trade", **asked)) == "LEVERAGE_OUT_OF_RANGE"


def test_a_price_goes_stale_by_log_time() -> None:
    driver = ready_driver()
    accepted_us = driver.now_us - 1_000
    asked = {"account": "a", "side": "long", "margin": "10", "leverage": 10}
    assert refusal_code(driver.send("create_trade", time=accepted_us + 5_000_000, **asked)) is None
    assert refusal_code(driver.send("create_trade", time=accepted_us + 5_000_001, **asked)) == "PRICE_STALE"
    # A late price counts from the log time of its arrival, not from its own time.
    driver.price("100", "101", time=5)
    assert refusal_code(driver.send("create_trade", time=accepted_us + 9_000_000, **asked)) is None


def test_amending_sets_keeps_and_removes_levels() -> None:
    driver = ready_driver()
    trade = driver.trade(stop_loss="95", take_profit="120")
    outputs = driver.send("amend_trade", account="a", trade=trade, stop_loss="97", take_profit=None)
    assert [output["type"] for output in outputs] == ["order_response"]
    assert outputs[0]["trade"] == trade
    now = driver.engine.open_trade(trade)
    assert now is not None
    assert (now.stop_loss, now.take_profit) == (97_00000000, None)
    assert driver.price("95.5", "121") != []
    assert driver.engine.open_trade(trade) is None


@pytest.mark.parametrize(
    ("side", "fields", "expected"),
    [
        ("long", {"stop_loss": "100"}, "INVALID_STOP"),
        ("long", {"take_profit": "100"}, "INVALID_STOP"),
        ("long", {"take_profit": "100.5"}, None),
        ("short", {"stop_loss": "101"}, "INVALID_STOP"),
        ("short", {"take_profit": "101"}, "INVALID_STOP"),
        ("short", {"take_profit": "100.5"}, None),
        ("long", {"trailing_stop": "0"}, "INVALID_STOP"),
        ("long", {"stop_loss": None, "take_profit": None, "trailing_stop": None}, None),
        ("long", {}, None),
    ],
)
def test_amendments_are_checked_against_the_current_price(
    side: str, fields: dict[str, object], expected: str | None
) -> None:
    driver = ready_driver()
    trade = driver.trade(side=side)
    assert refusal_code(driver.send("amend_trade", account="a", trade=trade, **fields)) == expected


def test_only_levels_in_the_amendment_are_checked() -> None:
    driver = ready_driver()
    trade = driver.trade(stop_loss="99")
    driver.send("halt_market")
    driver.price("98", "98.5")
    driver.send("resume_market")
    # The price has passed the stop loss; an amendment of the other level only is still accepted.
    assert refusal_code(driver.send("amend_trade", account="a", trade=trade, take_profit="130")) is None
    assert endings(driver.price("98.1", "98.6")) == [(trade, "stop_loss")]


def test_trades_of_others_are_not_found() -> None:
    driver = ready_driver()
    driver.open("b")
    trade = driver.trade("a")
    assert refusal_code(driver.send("close_trade", account="b", trade=trade)) == "TRADE_NOT_FOUND"
    assert refusal_code(driver.send("amend_trade", account="b", trade=trade)) == "TRADE_NOT_FOUND"
    assert refusal_code(driver.send("close_trade", account="unknown", trade=trade)) == "ACCOUNT_NOT_FOUND"
    assert (
        refusal_code(driver.send("close_trade", account="a", trade=trade, quantity="0.0009"))
        == "BELOW_MINIMUM"
    )
    assert refusal_code(driver.send("close_trade", account="a", trade=trade, quantity="0")) == "BELOW_MINIMUM"
    driver.send("halt_market")
    assert refusal_code(driver.send("close_trade", account="a", trade=trade)) == "MARKET_HALTED"
    assert refusal_code(driver.send("amend_trade", account="a", trade=trade)) == "MARKET_HALTED"


def test_a_halted_account_can_close_and_its_levels_fire() -> None:
    driver = ready_driver()
    first, second = driver.trade(stop_loss="95"), driver.trade()
    driver.send("halt_account", account="a")
    assert refusal_code(driver.send("amend_trade", account="a", trade=second, stop_loss="94")) is None
    assert refusal_code(driver.send("close_trade", account="a", trade=second)) is None
    assert endings(driver.price("95", "96")) == [(first, "stop_loss")]
    assert refusal_code(driver.send("withdraw", account="a", amount="1")) is None


def test_new_rates_apply_to_fees_and_liquidation_levels_stay() -> None:
    driver = ready_driver()
    trade = driver.trade()
    before = fields_of(driver.engine.open_trade(trade))
    config = {
        "symbol": "BTC_USD",
        "base": "ETH",
        "quantity_step": "0.01",
        "min_notional": "5",
        "max_leverage": 5,
    }
    rates = {
        "maker_rate_bps": 0,
        "taker_rate_bps": 100,
        "maintenance_rate_bps": 500,
        "max_price_age_us": 5_000_000,
    }
    driver.send("configure_market", **config, **rates)
    assert fields_of(driver.engine.open_trade(trade)) == before
    assert (
        refusal_code(driver.send("create_trade", account="a", side="long", margin="10", leverage=6))
        == "LEVERAGE_OUT_OF_RANGE"
    )
    response = driver.send("close_trade", account="a", trade=trade, quantity="0.019")[0]
    assert (response["quantity"], response["fee"]) == ("0.01", "0.01")
    driver.order(order_type="market")
    view = driver.engine.account_view("a")
    assert view is not None
    assert list(view.free) == ["BTC"]
