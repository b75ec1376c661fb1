"""The form of files and of the API: one JSON object a message, decimals as strings."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, cast, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Struct

from paceline.core.money import format_decimal, parse_decimal
from paceline.messages.inbound import (
    ADMIN_TYPES,
    KINDS,
    SETS_STOP_LOSS,
    SETS_TAKE_PROFIT,
    SETS_TRAILING_STOP,
    AmendTrade,
    CreateTrade,
    Inbound,
    PlaceOrder,
    PriceUpdate,
)
from paceline.messages.outbound import BalanceUpdate, ClosedOrder, OrderResponse, Outbound
from paceline.messages.unreadable import UNREADABLE

_TYPE_OF_OUTPUT: Final[dict[type[Struct], str]] = {
    OrderResponse: "order_response",
    BalanceUpdate: "balance_update",
    ClosedOrder: "closed_order",
}
_OUTPUT_DECIMALS: Final = frozenset(
    {"price", "quantity", "fee", "liquidation", "cash", "margin", "locked"}
    | {"entry", "exit", "profit", "remaining"}
)
_AMEND_BITS: Final = {
    "stop_loss": SETS_STOP_LOSS,
    "take_profit": SETS_TAKE_PROFIT,
    "trailing_stop": SETS_TRAILING_STOP,
}
_BY_KIND: Final[dict[tuple[str, str], type[Struct]]] = {
    ("admin_instruction" if cls in ADMIN_TYPES else "user_instruction", kind): cls
    for cls, kind in KINDS.items()
}


class DecodeError(ValueError):
    """The text is no message of ours; says why."""


class _Field(Struct, frozen=True):
    name: str
    decimal: bool
    required: bool
    null_is_absent: bool


def _is_decimal(annotation: Any) -> bool:
    if get_origin(annotation) is Annotated:
        metas = [m for m in annotation.__metadata__ if isinstance(m, msgspec.Meta)]
        return any((m.extra or {}).get("wire") == "decimal" for m in metas)
    return any(_is_decimal(part) for part in get_args(annotation))


def _plan(cls: type[Struct]) -> tuple[_Field, ...]:
    nullable = cls in (CreateTrade, PlaceOrder)
    return tuple(
        _Field(f.name, _is_decimal(f.type), f.default is NODEFAULT, nullable)
        for f in msgspec.structs.fields(cls)
        if f.name != "sets"
    )


_PLANS: Final[dict[type[Struct], tuple[_Field, ...]]] = {PriceUpdate: _plan(PriceUpdate)} | {
    cls: _plan(cls) for cls in KINDS
}


def decode_line(line: str | bytes) -> Inbound:
    """The message of one JSON line; `DecodeError` says why it is none."""
    try:
        data = msgspec.json.decode(line)
    except UNREADABLE as error:
        raise DecodeError(f"not JSON: {error}") from error
    if not isinstance(data, dict):
        raise DecodeError("not a JSON object")
    try:
        return from_json(data)
    except RecursionError as error:
        raise DecodeError("nested too deep") from error


def from_json(data: Mapping[str, Any]) -> Inbound:
    """The message of a JSON object; `DecodeError` says why it is none."""
    kind = data.get("type")
    cls = PriceUpdate if kind == "price_update" else _BY_KIND.get((str(kind), str(data.get("kind"))))
    if cls is None:
        raise DecodeError(f"unknown type {kind!r} and kind {data.get('kind')!r}")
    values = {f.name: _value(f, data) for f in _PLANS[cls] if f.required or f.name in data}
    if cls is AmendTrade:
        values["sets"] = sum(bit for name, bit in _AMEND_BITS.items() if name in data)
    try:
        return cast(Inbound, _checked(cls, values))
    except (msgspec.ValidationError, ValueError) as error:
        raise DecodeError(str(error)) from error


def _value(field: _Field, data: Mapping[str, Any]) -> Any:
    if field.name not in data:
        raise DecodeError(f"{field.name}: missing")
    value = data[field.name]
    if value is None:
        if field.null_is_absent or field.name in _AMEND_BITS:
            return None
        raise DecodeError(f"{field.name}: must not be null")
    if not field.decimal:
        return value
    if not isinstance(value, str):
        raise DecodeError(f"{field.name}: must be a decimal string")
    try:
        return parse_decimal(value)
    except ValueError as error:
        raise DecodeError(f"{field.name}: {error}") from error


def _checked(cls: type[Struct], values: dict[str, Any]) -> Struct:
    """Build the struct through msgspec, so that its types and bounds are enforced here as on the log."""
    names = cls.__struct_fields__
    defaults: dict[str, Any] = {f.name: f.default for f in msgspec.structs.fields(cls)}
    tag = cls.__struct_config__.tag
    row = [tag, *(values.get(name, defaults[name]) for name in names)]
    return msgspec.convert(row, cls)


def to_json(message: Inbound) -> dict[str, Any]:
    """The JSON object of a message in: None is left out, but for what an amendment removes."""
    kind = KINDS.get(type(message))
    if kind is None:
        head = {"type": "price_update"}
    elif isinstance(message, ADMIN_TYPES):
        head = {"type": "admin_instruction"}
    else:
        head = {"type": "user_instruction"}
    named = _names_set(message) if isinstance(message, AmendTrade) else frozenset()
    body: dict[str, Any] = {}
    for field in _PLANS[type(message)]:
        value = getattr(message, field.name)
        if value is None and field.name not in named:
            continue
        body[field.name] = format_decimal(value) if field.decimal and value is not None else value
    id_and_time = {"id": body.pop("id"), "time": body.pop("time")}
    return head | id_and_time | ({"kind": kind} if kind else {}) | body


def _names_set(message: AmendTrade) -> frozenset[str]:
    return frozenset(name for name, bit in _AMEND_BITS.items() if message.sets & bit)


def output_to_json(output: Outbound) -> dict[str, Any]:
    """The JSON object of a message out: all fields, in their order, `None` where they mean nothing."""
    data: dict[str, Any] = {"type": _TYPE_OF_OUTPUT[type(output)]}
    for name in output.__struct_fields__:
        value = getattr(output, name)
        if isinstance(value, dict):
            value = {asset: format_decimal(amount) for asset, amount in value.items()}
        elif name in _OUTPUT_DECIMALS and value is not None:
            value = format_decimal(value)
        data[name] = value
    return data


encode_line: Final[Callable[[Any], bytes]] = msgspec.json.Encoder().encode
