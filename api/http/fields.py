"""Reads the fields of a request: every field is checked, every problem is reported, nothing is guessed."""

from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Annotated, Any, Final, TypeVar, get_args, get_origin

import msgspec
from flask import request
from msgspec import NODEFAULT, Meta, Struct
from msgspec.structs import FieldInfo
from werkzeug.exceptions import UnsupportedMediaType

from paceline.core.errors import ValidationError

S = TypeVar("S", bound=Struct)


def describe_field(description: str, must: str, **bounds: Any) -> Meta:
    """Describes a field and its `bounds`. A wrong value is reported as "must" followed by `must`."""
    return Meta(description=description, extra={"must": f"must {must}"}, **bounds)


_DECIMAL: Final = r"^([0-9]{1,9}(\.[0-9]{1,8})?|10{9}(\.0{1,8})?)$"

Decimal = Annotated[
    str,
    describe_field(
        "Decimal number as a string: at most 8 decimals, at most 10⁹, no sign, no exponent.",
        'be a decimal string such as "0.5", with at most 8 decimals and at most 10⁹',
        pattern=_DECIMAL,
    ),
]
Symbol = Annotated[
    str,
    describe_field(
        "Market, such as BTC_USDC_PERP.",
        "be a market's symbol such as BTC_USDC_PERP",
        pattern=r"^[A-Za-z0-9_]{1,64}$",
    ),
]
PositiveDecimal = Annotated[
    str,
    describe_field(
        "Decimal number as a string: above 0, at most 8 decimals, at most 10⁹, no sign, no exponent.",
        'be a decimal string above 0 such as "0.5", with at most 8 decimals and at most 10⁹',
        pattern=f"^(?=.*[1-9]){_DECIMAL[1:]}",
    ),
]
Name = Annotated[
    str,
    describe_field(
        "Name of a market or an account.",
        "have 1 to 64 visible ASCII characters and no slash",
        pattern=r"^(?!\.{1,2}$)[!-.0-~]{1,64}$",
    ),
]
OutputId = Annotated[
    str,
    describe_field(
        "Id of a trade or an order, of the form shard:position:ordinal.",
        'be an id of the form "0:3:0"',
        pattern=r"^[0-9]{1,10}:[0-9]{1,20}:[0-9]{1,10}$",
    ),
]
Leverage = Annotated[
    int,
    describe_field(
        "Whole number; each market has its own maximum.",
        "be a whole number between 1 and 1000",
        ge=1,
        le=1_000,
    ),
]
TimeUs = Annotated[
    int,
    describe_field(
        "Microseconds since the Unix epoch, UTC.",
        "be a time in whole microseconds since the Unix epoch",
        ge=0,
        le=2**53,
    ),
]
Bps = Annotated[
    int,
    describe_field(
        "Basis points, 0 to 10000.", "be a whole number of basis points between 0 and 10000", ge=0, le=10_000
    ),
]


def read_body(cls: type[S], *, form: bool = False) -> S:
    """The JSON object of the request's body; `ValidationError` names every bad field.

    With `form` the fields of an HTML form are accepted too.
    """
    if form and request.mimetype == "application/x-www-form-urlencoded":
        return _checked(cls, request.form.to_dict(), strict=False)
    if request.mimetype != "application/json":
        raise UnsupportedMediaType
    raw = request.get_data()
    with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # reported below
        body: S = _decoder(cls).decode(raw)
        if _printable(body):
            return body
    try:
        data = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValidationError("The body is not JSON.", details={"body": str(error)}) from error
    if not isinstance(data, dict):
        raise ValidationError("The body must be a JSON object.", details={"body": "must be a JSON object"})
    return _checked(cls, data, strict=True)


def read_query(cls: type[S]) -> S:
    """The query parameters of the URL, in which numbers are text."""
    repeated = {name: "is given more than once" for name, values in request.args.lists() if len(values) > 1}
    if repeated:
        raise _invalid(repeated)
    return _checked(cls, request.args.to_dict(), strict=False)


def _checked(cls: type[S], data: dict[str, Any], *, strict: bool) -> S:
    fields = _fields(cls)
    problems = {name[:64]: "is not a known field" for name in data if name not in fields}
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name not in data:
            if field.default is NODEFAULT and field.default_factory is NODEFAULT:
                problems[name] = "is required"
            continue
        if isinstance(data[name], str) and not data[name].isprintable():
            problems[name] = "has a character that is not printable"
            continue
        try:
            values[field.name] = _converted(data[name], field.type, strict)
        except msgspec.ValidationError as error:
            problems[name] = _must_sentence(field.type) or _readable(error)
    if problems:
        raise _invalid(problems)
    try:
        return cls(**values)
    except ValueError as error:  # from a check over several fields, in the form "field: problem"
        name, _, problem = str(error).partition(": ")
        raise _invalid({name: problem}) from error


def _converted(value: Any, annotation: Any, strict: bool) -> Any:
    """The value as `annotation`. `1.0` in JSON is a whole number; in text, a number has one form only."""
    if strict and isinstance(value, float):
        return msgspec.convert(value, annotation, strict=False)
    found = msgspec.convert(value, annotation, strict=strict)
    if not strict and str(found) != value:
        raise msgspec.ValidationError(f"Expected `{found}`")
    return found


@cache
def _decoder(cls: type[S]) -> msgspec.json.Decoder[S]:
    return msgspec.json.Decoder(cls)


def _printable(body: Struct) -> bool:
    values = msgspec.structs.astuple(body)
    return all(value.isprintable() for value in values if isinstance(value, str))


@cache
def _fields(cls: type[Struct]) -> Mapping[str, FieldInfo]:
    """A schema's fields by their names in requests. Cached: finding them costs more than checking values."""
    return {field.encode_name: field for field in msgspec.structs.fields(cls)}


def _invalid(problems: dict[str, str]) -> ValidationError:
    first = next(f"{name} {problem}" for name, problem in problems.items())
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return ValidationError(f"The request is not valid: {first}{more}.", details=problems)


def _must_sentence(annotation: Any) -> str | None:
    """The sentence of a type for a wrong value, `None` if it has none."""
    if get_origin(annotation) is Annotated:
        for meta in annotation.__metadata__:
            if isinstance(meta, Meta) and meta.extra and "must" in meta.extra:
                return str(meta.extra["must"])
    return next((found for part in get_args(annotation) if (found := _must_sentence(part))), None)


def _readable(error: msgspec.ValidationError) -> str:
    text = str(error).replace("`", "")
    return text[0].lower() + text[1:]
