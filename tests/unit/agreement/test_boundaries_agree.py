"""Cases exactly at a bound and one unit next to it, which random messages rarely reach."""

from typing import Any

import pytest

from tests.support.agreement import EnginePair
from tests.support.engine_messages import as_line

Json = dict[str, Any]


def trade(side: str, margin: str, leverage: int, **more: str) -> Json:
    return {"kind": "create_trade", "side": side, "margin": margin, "leverage": leverage} | more


def order(side: str, order_type: str, quantity: str, **more: str) -> Json:
    return {"kind": "place_order", "side": side, "order_type": order_type, "quantity": quantity} | more


# name: bid, ask, cash, instruction, expected code
BOUNDS: dict[str, tuple[str, str, str, Json, str | None]] = {
    "long liquidates at the bid": ("75", "100", "1000", trade("long", "25", 4), "LIQUIDATES_AT_ONCE"),
    "long lives a unit below the bid": ("75.00000001", "100", "1000", trade("long", "25", 4), None),
    "short liquidates at the ask": ("80", "100", "1000", trade("short", "20", 4), "LIQUIDATES_AT_ONCE"),
    "short lives": ("80", "99.99999999", "1000", trade("short", "20", 4), None),
    "margin is all the cash": ("99", "100", "50", trade("long", "50", 1), None),
    "margin is a unit above the cash": (
        "99",
        "100",
        "49.99999999",
        trade("long", "50", 1),
        "INSUFFICIENT_BALANCE",
    ),
    "trade at the minimum": ("99", "100", "50", trade("long", "5", 1), None),
    "trade below the minimum": ("99", "100", "50", trade("long", "4.99999999", 1), "BELOW_MINIMUM"),
    "no level at zero": ("99", "100", "100", trade("long", "100", 1), None),
    "stop loss at the bid": ("99", "100", "50", trade("long", "50", 1, stop_loss="99"), "INVALID_STOP"),
    "take profit at the ask": ("99", "100", "50", trade("long", "50", 1, take_profit="100"), "INVALID_STOP"),
    "trailing at the bid": ("99", "100", "50", trade("long", "50", 1, trailing_stop="99"), "INVALID_STOP"),
    "trailing below the bid": ("99", "100", "50", trade("long", "50", 1, trailing_stop="98.99999999"), None),
    "leverage at its most": ("99.9", "100", "50", trade("long", "10", 100), None),
    "leverage above its most": ("99.9", "100", "50", trade("long", "10", 101), "LEVERAGE_OUT_OF_RANGE"),
    "buy at the minimum": ("99", "100", "50", order("buy", "market", "0.05"), None),
    "buy below the minimum": ("99", "100", "50", order("buy", "market", "0.04999999"), "BELOW_MINIMUM"),
    "buy for all the cash": ("99", "100", "50", order("buy", "market", "0.5"), None),
    "buy for more": ("99", "100", "49.99999999", order("buy", "market", "0.5"), "INSUFFICIENT_BALANCE"),
    "lock all the cash": ("99", "100", "45", order("buy", "limit", "0.5", price="90"), None),
    "lock more": (
        "99",
        "100",
        "44.99999999",
        order("buy", "limit", "0.5", price="90"),
        "INSUFFICIENT_BALANCE",
    ),
    "limit at the ask fills": ("99", "100", "50", order("buy", "limit", "0.5", price="100"), None),
    "stop at the ask": ("99", "100", "50", order("buy", "stop", "0.1", price="100"), "INVALID_STOP"),
    "take profit order at the ask": (
        "99",
        "100",
        "50",
        order("buy", "take_profit", "0.1", price="100"),
        "INVALID_STOP",
    ),
    "trailing sell at zero": (
        "99",
        "100",
        "50",
        order("sell", "trailing_stop", "10", distance="99"),
        "INVALID_STOP",
    ),
    "trailing sell below the minimum": (
        *("99", "100", "50"),
        order("sell", "trailing_stop", "5", distance="98.00000001"),
        "BELOW_MINIMUM",
    ),
    "trailing sell at the minimum": (
        *("99", "100", "50"),
        order("sell", "trailing_stop", "5", distance="98"),
        "INSUFFICIENT_BALANCE",
    ),
    "slippage at its bound": (
        *("99", "101", "50.5"),
        order("buy", "market", "0.5", expected_price="100") | {"max_slippage_bps": 100},
        None,
    ),
    "slippage beyond its bound": (
        *("99", "101.00000001", "60"),
        order("buy", "market", "0.5", expected_price="100") | {"max_slippage_bps": 100},
        "SLIPPAGE_EXCEEDED",
    ),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_code_at_each_bound(name: str) -> None:
    bid, ask, cash, instruction, code = BOUNDS[name]
    pair = EnginePair()
    pair.apply(as_line(configuration(age_us=10)))
    pair.apply(as_line(price(bid, ask, time_us=1)))
    pair.apply(as_line(user({"kind": "open_account", "initial_balance": cash}, time_us=1)))
    response = pair.apply(as_line(user(instruction | {"symbol": "X"}, time_us=2)))[0]
    assert response["code"] == code
    pair.compare_state()


@pytest.mark.parametrize(("time_us", "code"), [(11, None), (12, "PRICE_STALE")])
def test_a_price_is_stale_one_microsecond_after_its_maximum_age(time_us: int, code: str | None) -> None:
    pair = EnginePair()
    pair.apply(as_line(configuration(age_us=10)))
    pair.apply(as_line(price("99", "100", time_us=1)))
    pair.apply(as_line(user({"kind": "open_account", "initial_balance": "50"}, time_us=1)))
    response = pair.apply(as_line(user(order("buy", "market", "0.5") | {"symbol": "X"}, time_us=time_us)))[0]
    assert response["code"] == code


def test_a_liquidation_level_at_zero_is_none() -> None:
    pair = EnginePair()
    pair.apply(as_line(configuration(age_us=10)))
    pair.apply(as_line(price("99", "100", time_us=1)))
    pair.apply(as_line(user({"kind": "open_account", "initial_balance": "100"}, time_us=1)))
    response = pair.apply(as_line(user(trade("long", "100", 1) | {"symbol": "X"}, time_us=2)))[0]
    assert (response["status"], response["liquidation"]) == ("accepted", None)


def configuration(age_us: int) -> Json:
    """A market without fees and maintenance, which keeps the numbers at the bounds simple."""
    return {
        "type": "admin_instruction",
        "id": "m",
        "time": 1,
        "kind": "configure_market",
        "symbol": "X",
        "base": "X",
        "quantity_step": "0.00000001",
        "min_notional": "5",
        "max_leverage": 100,
        "maker_rate_bps": 0,
        "taker_rate_bps": 0,
        "maintenance_rate_bps": 0,
        "max_price_age_us": age_us,
    }


def price(bid: str, ask: str, time_us: int) -> Json:
    head = {"type": "price_update", "id": "p", "time": time_us, "symbol": "X", "update_id": time_us}
    return head | {"bid": bid, "bid_quantity": "1", "ask": ask, "ask_quantity": "1"}


def user(instruction: Json, time_us: int) -> Json:
    return {
        "type": "user_instruction",
        "id": instruction["kind"],
        "time": time_us,
        "account": "a",
    } | instruction
