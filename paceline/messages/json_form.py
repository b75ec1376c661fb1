"""The encoding in files and in the API: one JSON object per message, decimals as strings."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, NamedTuple, cast, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Struct

from paceline.core.money import format_decimal, parse_decimal
from paceline.messages.decode_errors import DECODE_ERRORS
from paceline.messages.inbound import (
    ADMIN_TYPES,
    KIND_BY_TYPE,
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

_TYPE_OF_OUTPUT: Final[dict[type[Struct], str]] = {
    OrderResponse: "order_response",
    BalanceUpdate: "balance_update",
    ClosedOrder: "closed_order",
}
_AMEND_BITS: Final = {
    "stop_loss": SETS_STOP_LOSS,
    "take_profit": SETS_TAKE_PROFIT,
    "trailing_stop": SETS_TRAILING_STOP,
}
_BY_KIND: Final[dict[tuple[str, str], type[Struct]]] = {
    ("admin_instruction" if cls in ADMIN_TYPES else "user_instruction", kind): cls
    for cls, kind in KIND_BY_TYPE.items()
}


class DecodeError(ValueError):
    """The text is not a valid message; the error says why."""


class _Field(NamedTuple):
    name: str
    decimal: bool
    default: Any
    """`NODEFAULT` where the message must name the field."""
    null_is_none: bool
    """Else null is refused."""


class _Plan(NamedTuple):
    """How a type's objects are read. It is made once: `msgspec.structs.fields` costs more than a message."""

    tag: Any
    fields: tuple[_Field, ...]
    """In the struct's order, without `sets`."""


def _is_decimal(annotation: Any) -> bool:
    if get_origin(annotation) is Annotated:
        metas = [m for m in annotation.__metadata__ if isinstance(m, msgspec.Meta)]
        return any((m.extra or {}).get("wire") == "decimal" for m in metas)
    return any(_is_decimal(part) for part in get_args(annotation))


def amount_fields(cls: type[Struct]) -> tuple[str, ...]:
    """Names of the fields that hold scaled integers, in the struct's order. Their annotation says so."""
    return tuple(field.name for field in msgspec.structs.fields(cls) if _is_decimal(field.type))


def _plan(cls: type[Struct]) -> _Plan:
    nullable = cls in (CreateTrade, PlaceOrder)
    fields = (
        _Field(f.name, _is_decimal(f.type), f.default, nullable or f.name in _AMEND_BITS)
        for f in msgspec.structs.fields(cls)
        if f.name != "sets"
    )
    return _Plan(cls.__struct_config__.tag, tuple(fields))


_PLANS: Final[dict[type[Struct], _Plan]] = {PriceUpdate: _plan(PriceUpdate)} | {
    cls: _plan(cls) for cls in KIND_BY_TYPE
}
_OUTPUT_AMOUNTS: Final = {cls: frozenset(amount_fields(cls)) for cls in _TYPE_OF_OUTPUT}
_SETS_AT: Final = AmendTrade.__struct_fields__.index("sets")


def decode_line(line: str | bytes) -> Inbound:
    """The message of one JSON line; `DecodeError` if the line is not a valid message."""
    try:
        data = msgspec.json.decode(line)
    except DECODE_ERRORS as error:
        raise DecodeError(f"not JSON: {error}") from error
    if not isinstance(data, dict):
        raise DecodeError("not a JSON object")
    try:
        return from_json(data)
    except RecursionError as error:
        raise DecodeError("nested too deep") from error


def from_json(data: Mapping[str, Any]) -> Inbound:
    """The message of a JSON object; `DecodeError` if the object is not a valid message."""
    kind = data.get("type")
    cls = PriceUpdate if kind == "price_update" else _BY_KIND.get((str(kind), str(data.get("kind"))))
    if cls is None:
        raise DecodeError(f"unknown type {kind!r} and kind {data.get('kind')!r}")
    row = _row(_PLANS[cls], data)
    if cls is AmendTrade:
        row.insert(1 + _SETS_AT, sum(bit for name, bit in _AMEND_BITS.items() if name in data))
    try:
        # Through msgspec, so that its types and bounds are enforced here as on the log.
        return cast(Inbound, msgspec.convert(row, cls))
    except (msgspec.ValidationError, ValueError) as error:
        raise DecodeError(str(error)) from error


def _row(plan: _Plan, data: Mapping[str, Any]) -> list[Any]:
    """The array of the log's form: the tag, then the values in the order of the fields."""
    row = [plan.tag]
    for name, decimal, default, null_is_none in plan.fields:
        value = data.get(name, NODEFAULT)
        if value is NODEFAULT:
            if default is NODEFAULT:
                raise DecodeError(f"{name}: missing")
            value = default
        elif value is None:
            if not null_is_none:
                raise DecodeError(f"{name}: must not be null")
        elif decimal:
            if not isinstance(value, str):
                raise DecodeError(f"{name}: must be a decimal string")
            try:
                value = parse_decimal(value)
            except ValueError as error:
                raise DecodeError(f"{name}: {error}") from error
        row.append(value)
    return row


def to_json(message: Inbound) -> dict[str, Any]:
    """The JSON object of an inbound message. None is left out, except for an amendment's removed levels."""
    kind = KIND_BY_TYPE.get(type(message))
    if kind is None:
        head = {"type": "price_update"}
    elif isinstance(message, ADMIN_TYPES):
        head = {"type": "admin_instruction"}
    else:
        head = {"type": "user_instruction"}
    named = _names_set(message) if isinstance(message, AmendTrade) else frozenset()
    body: dict[str, Any] = {}
    for field in _PLANS[type(message)].fields:
        value = getattr(message, field.name)
        if value is None and field.name not in named:
            continue
        body[field.name] = format_decimal(value) if field.decimal and value is not None else value
    id_and_time = {"id": body.pop("id"), "time": body.pop("time")}
    return head | id_and_time | ({"kind": kind} if kind else {}) | body


def _names_set(message: AmendTrade) -> frozenset[str]:
    return frozenset(name for name, bit in _AMEND_BITS.items() if message.sets & bit)


def output_to_json(output: Outbound) -> dict[str, Any]:
    """The JSON object of an outbound message: all fields in order, `None` where one does not apply."""
    data: dict[str, Any] = {"type": _TYPE_OF_OUTPUT[type(output)]}
    amounts = _OUTPUT_AMOUNTS[type(output)]
    for name in output.__struct_fields__:
        value = getattr(output, name)
        if isinstance(value, dict):
            value = {asset: format_decimal(amount) for asset, amount in value.items()}
        elif name in amounts and value is not None:
            value = format_decimal(value)
        data[name] = value
    return data


encode_line: Final[Callable[[Any], bytes]] = msgspec.json.Encoder().encode
