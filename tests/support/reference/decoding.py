"""Strict decoder of the JSON form: returns a dict of integers and strings or raises `Undecodable`.

`"margin": "100"` becomes 10000000000. Absent optional fields stay absent. `None` is kept only in
`amend_trade`, where it removes a level.
"""

import json
from collections.abc import Callable
from typing import Any

from tests.support.reference.numbers import scaled

Message = dict[str, Any]
Rule = Callable[[Any], Any]


class Undecodable(Exception):
    """The line is not a valid message. It takes a position on the log and has no effect."""


def text(value: Any) -> str:
    if type(value) is not str:
        raise Undecodable("not a string")
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise Undecodable("half a surrogate pair is no text")
    return value


def whole(value: Any) -> int:
    if type(value) is not int:
        raise Undecodable("not an integer")
    return value


def count(value: Any) -> int:
    if (known := whole(value)) < 0:
        raise Undecodable("negative")
    return known


def number(value: Any) -> int:
    try:
        return scaled(text(value))
    except ValueError as error:
        raise Undecodable(str(error)) from error


def positive(value: Any) -> int:
    if number(value) == 0:
        raise Undecodable("zero")
    return number(value)


def one_of(*names: str) -> Rule:
    def rule(value: Any) -> str:
        if value not in names:
            raise Undecodable(f"none of {names}")
        return text(value)

    return rule


LEVELS: dict[str, Rule] = {"stop_loss": number, "take_profit": number, "trailing_stop": number}
SLIPPAGE: dict[str, Rule] = {"expected_price": number, "max_slippage_bps": count}
ORDER_TYPES = ("market", "limit", "stop", "take_profit", "trailing_stop")

PRICE_UPDATE: dict[str, Rule] = {
    "symbol": text,
    "bid": number,
    "bid_quantity": number,
    "ask": number,
    "ask_quantity": number,
    "update_id": count,
}
ADMIN: dict[str, dict[str, Rule]] = {
    "configure_market": {
        "symbol": text,
        "base": text,
        "quantity_step": positive,
        "min_notional": number,
        "max_leverage": count,
        "maker_rate_bps": count,
        "taker_rate_bps": count,
        "maintenance_rate_bps": count,
        "max_price_age_us": count,
    },
    "halt_market": {"symbol": text},
    "resume_market": {"symbol": text},
    "halt_account": {"account": text},
    "resume_account": {"account": text},
}
USER: dict[str, dict[str, Rule]] = {
    "open_account": {"initial_balance": number},
    "deposit": {"amount": positive},
    "withdraw": {"amount": positive},
    "create_trade": {
        "symbol": text,
        "side": one_of("long", "short"),
        "margin": number,
        "leverage": whole,
    },
    "amend_trade": {"trade": text},
    "close_trade": {"trade": text},
    "place_order": {
        "symbol": text,
        "side": one_of("buy", "sell"),
        "order_type": one_of(*ORDER_TYPES),
        "quantity": number,
    },
    "cancel_order": {"order": text},
}
OPTIONAL: dict[str, dict[str, Rule]] = {
    "price_update": {"venue_time_us": count},
    "create_trade": LEVELS | SLIPPAGE,
    "amend_trade": LEVELS,
    "close_trade": {"quantity": number},
    "place_order": SLIPPAGE | {"price": number, "distance": number, "oco_with": text},
}


def decode_line(line: str | bytes) -> Message:
    """The message of one line of a file."""
    try:
        return decode(json.loads(line, parse_constant=_refuse_constant))
    except (ValueError, RecursionError) as error:
        raise Undecodable(f"not JSON: {error}") from error


def decode(data: Any) -> Message:
    """The message of a JSON value."""
    if type(data) is not dict:
        raise Undecodable("not an object")
    kind, required = _kind_and_fields(data)
    message: Message = {"type": data["type"], "kind": kind}
    for name, rule in {"id": text, "time": count, **required}.items():
        if name not in data:
            raise Undecodable(f"{name} is missing")
        message[name] = rule(data[name])
    for name, rule in OPTIONAL.get(kind, {}).items():
        if name not in data:
            continue
        if data[name] is not None:
            message[name] = rule(data[name])
        elif kind == "amend_trade":
            message[name] = None
        elif kind not in ("create_trade", "place_order"):
            raise Undecodable(f"{name} is null")
    _require_the_price_of_the_order_type(message)
    if kind != "price_update" and any(type(value) is str and "\0" in value for value in message.values()):
        raise Undecodable("NUL cannot be stored")
    return message


def _kind_and_fields(data: dict[str, Any]) -> tuple[str, dict[str, Rule]]:
    if data.get("type") == "price_update":
        return "price_update", PRICE_UPDATE
    kind = data.get("kind")
    if type(kind) is str and data.get("type") == "admin_instruction" and kind in ADMIN:
        return kind, ADMIN[kind]
    if type(kind) is str and data.get("type") == "user_instruction" and kind in USER:
        return kind, {"account": text, **USER[kind]}
    raise Undecodable("unknown kind")


def _require_the_price_of_the_order_type(message: Message) -> None:
    order_type = message.get("order_type")
    if order_type in ("limit", "stop", "take_profit") and "price" not in message:
        raise Undecodable("price is missing")
    if order_type == "trailing_stop" and "distance" not in message:
        raise Undecodable("distance is missing")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
