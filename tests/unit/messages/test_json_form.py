import json
from typing import Any

import pytest

from paceline.domain.trading.open_trade import OpenTrade
from paceline.messages.inbound import (
    SETS_STOP_LOSS,
    SETS_TAKE_PROFIT,
    AmendTrade,
    CloseTrade,
    CreateTrade,
    Deposit,
    PlaceOrder,
    PriceUpdate,
)
from paceline.messages.json_form import (
    DecodeError,
    amount_fields,
    decode_line,
    encode_line,
    from_json,
    output_to_json,
    to_json,
)
from paceline.messages.outbound import BalanceUpdate, ClosedOrder, OrderResponse

PRICE = {
    "type": "price_update",
    "id": "p1",
    "time": 2,
    "symbol": "BTC_USDC_PERP",
    "bid": "68983",
    "bid_quantity": "0.02426",
    "ask": "68983.1",
    "ask_quantity": "0.06093",
    "update_id": 2442329321,
    "venue_time_us": 2,
}
USER = {"type": "user_instruction", "id": "i", "time": 4, "account": "a1"}
CREATE = USER | {
    "kind": "create_trade",
    "symbol": "BTC_USDC_PERP",
    "side": "long",
    "margin": "100",
    "leverage": 10,
}
ORDER = USER | {
    "kind": "place_order",
    "symbol": "BTC_USDC_PERP",
    "side": "buy",
    "order_type": "limit",
    "quantity": "0.001",
    "price": "68000",
}
DEPOSIT = USER | {"kind": "deposit", "amount": "5"}
AMEND = USER | {"kind": "amend_trade", "trade": "0:3:0"}
MARKET = {
    "type": "admin_instruction",
    "id": "m1",
    "time": 1,
    "kind": "configure_market",
    "symbol": "BTC_USDC_PERP",
    "base": "BTC",
    "quantity_step": "0.00001",
    "min_notional": "5",
    "max_leverage": 100,
    "maker_rate_bps": 2,
    "taker_rate_bps": 5,
    "maintenance_rate_bps": 50,
    "max_price_age_us": 5000000,
}


def without(message: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in message.items() if key != name}


def test_decimals_become_scaled_integers() -> None:
    message = from_json(PRICE)
    assert isinstance(message, PriceUpdate)
    assert (message.bid, message.ask_quantity, message.update_id) == (6898300000000, 6093000, 2442329321)


@pytest.mark.parametrize("data", [PRICE, CREATE, ORDER, DEPOSIT, AMEND, MARKET])
def test_a_message_reads_back_as_it_was_written(data: dict[str, Any]) -> None:
    message = from_json(data)
    assert to_json(message) == data
    assert decode_line(encode_line(to_json(message))) == message


def test_an_amendment_distinguishes_absent_from_null() -> None:
    message = from_json(AMEND | {"stop_loss": "68500", "take_profit": None})
    assert isinstance(message, AmendTrade)
    assert message.sets == SETS_STOP_LOSS | SETS_TAKE_PROFIT
    assert (message.stop_loss, message.take_profit) == (6850000000000, None)
    assert to_json(message) == AMEND | {"stop_loss": "68500", "take_profit": None}


def test_null_means_absent_on_create_and_place() -> None:
    create = from_json(CREATE | {"stop_loss": None, "max_slippage_bps": None})
    order = from_json(ORDER | {"oco_with": None, "distance": None})
    assert isinstance(create, CreateTrade)
    assert create.stop_loss is None
    assert isinstance(order, PlaceOrder)
    assert order.oco_with is None


def test_fields_that_a_kind_does_not_use_are_ignored() -> None:
    assert from_json(DEPOSIT | {"margin": "x", "nonsense": [1]}) == from_json(DEPOSIT)
    close = from_json(USER | {"kind": "close_trade", "trade": "0:3:0", "amount": -1})
    assert isinstance(close, CloseTrade)


def test_numbers_beyond_64_bits_are_held() -> None:
    message = from_json(DEPOSIT | {"amount": "123456789012345678901234567890.00000001"})
    assert isinstance(message, Deposit)
    assert message.amount == 12345678901234567890123456789000000001


BAD_LINES = [
    ("", "not JSON"),
    ("   ", "not JSON"),
    ("{", "not JSON"),
    ("null", "not a JSON object"),
    ("[]", "not a JSON object"),
    ('"text"', "not a JSON object"),
    ("[" * 2_000 + "]" * 2_000, "not JSON"),
    ('{"type":' + "[" * 2_000 + "]" * 2_000 + "}", "not JSON"),
    ('{"type":"price_update","unused":' + "[" * 2_000 + "]" * 2_000 + "}", "not JSON"),
]
BAD_OBJECTS = [
    ({}, "unknown type"),
    ({"type": "price"}, "unknown type"),
    (USER | {"kind": "explode"}, "unknown type"),
    (USER | {"kind": "configure_market"}, "unknown type"),
    (USER | {"kind": ["deposit"]}, "unknown type"),
    (without(PRICE, "bid"), "bid: missing"),
    (without(PRICE, "time"), "time: missing"),
    (PRICE | {"bid": 68983}, "bid: must be a decimal string"),
    (PRICE | {"bid": "-1"}, "bid: '-1' is not a plain decimal"),
    (PRICE | {"bid": "1e5"}, "bid: '1e5' is not a plain decimal"),
    (PRICE | {"ask": "NaN"}, "ask: 'NaN' is not a plain decimal"),
    (PRICE | {"update_id": "1"}, "Expected `int`, got `str`"),
    (PRICE | {"update_id": -1}, "Expected `int` >= 0"),
    (PRICE | {"symbol": 7}, "Expected `str`, got `int`"),
    (PRICE | {"venue_time_us": None}, "venue_time_us: must not be null"),
    (DEPOSIT | {"amount": "0"}, "Expected `int` >= 1"),
    (DEPOSIT | {"amount": "1.123456789"}, "amount: '1.123456789' is not"),
    (DEPOSIT | {"amount": "9" * 5_000}, "amount: a number must have at most 1000 digits, this one has 5000"),
    (DEPOSIT | {"time": 4.0}, "Expected `int`, got `float`"),
    (DEPOSIT | {"time": True}, "Expected `int`, got `bool`"),
    (DEPOSIT | {"id": None}, "id: must not be null"),
    (CREATE | {"side": "buy"}, "Invalid enum value 'buy'"),
    (CREATE | {"leverage": "10"}, "Expected `int`, got `str`"),
    (CREATE | {"leverage": 1.5}, "Expected `int`, got `float`"),
    (CREATE | {"max_slippage_bps": -1}, "Expected `int` >= 0"),
    (CREATE | {"margin": None}, "Expected `int`, got `null`"),
    (ORDER | {"order_type": "iceberg"}, "Invalid enum value 'iceberg'"),
    (without(ORDER, "price"), "price: required for a limit order"),
    (ORDER | {"order_type": "trailing_stop"}, "distance: required for a trailing_stop order"),
    (USER | {"kind": "close_trade", "trade": "0:3:0", "quantity": None}, "quantity: must not be null"),
    (MARKET | {"quantity_step": "0"}, "Expected `int` >= 1"),
    (MARKET | {"taker_rate_bps": -5}, "Expected `int` >= 0"),
]


@pytest.mark.parametrize(("line", "why"), BAD_LINES)
def test_an_invalid_line_is_refused_with_the_reason(line: str, why: str) -> None:
    with pytest.raises(DecodeError, match=why):
        decode_line(line)


def test_a_too_deeply_nested_line_is_refused_at_any_depth() -> None:
    """At some depths parsing succeeds and only building the error message overflows the stack."""
    for depth in range(400, 1_100):
        with pytest.raises(DecodeError):
            decode_line('{"type":' + "[" * depth + "]" * depth + "}")


@pytest.mark.parametrize(("data", "why"), BAD_OBJECTS)
def test_an_invalid_object_is_refused_with_the_reason(data: dict[str, Any], why: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_line(json.dumps(data))
    assert why in str(caught.value)


def test_outputs_have_all_fields_in_order_with_null_for_unused_ones() -> None:
    closed = ClosedOrder(
        id="0:5:1",
        time=6,
        account="a1",
        trade="0:3:0",
        order=None,
        symbol="BTC_USDC_PERP",
        side="long",
        quantity=500000,
        entry=6898310000000,
        exit=6898300000000,
        profit=-50000,
        fee=17245750,
        margin=3450655624,
        leverage=10,
        reason="user",
        code=None,
        remaining=949000,
        opened=4,
        closed=6,
    )
    assert json.dumps(output_to_json(closed), separators=(",", ":")) == (
        '{"type":"closed_order","id":"0:5:1","time":6,"account":"a1","trade":"0:3:0","order":null,'
        '"symbol":"BTC_USDC_PERP","side":"long","quantity":"0.005","entry":"68983.1","exit":"68983",'
        '"profit":"-0.0005","fee":"0.1724575","margin":"34.50655624","leverage":10,"reason":"user","code":null,'
        '"remaining":"0.00949","opened":4,"closed":6}'
    )
    balance = BalanceUpdate("0:3:1", 4, "a1", 489950021744, 10**10, 0, {"ADA": 9 * 10**9}, {})
    assert output_to_json(balance)["balances"] == {"ADA": "90"}


@pytest.mark.parametrize(
    ("cls", "names"),
    [
        (OrderResponse, "price quantity fee liquidation"),
        (BalanceUpdate, "cash margin locked"),
        (ClosedOrder, "quantity entry exit profit fee margin remaining"),
        (OpenTrade, "entry quantity margin fee stop_loss take_profit trailing_stop liquidation"),
    ],
)
def test_the_fields_that_hold_amounts_are_known_by_their_annotation(cls: type, names: str) -> None:
    assert amount_fields(cls) == tuple(names.split())
