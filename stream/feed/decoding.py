"""Decodes frames of the exchange to price updates: strict and pure. A wrong frame is refused with a reason.

A price of 0, a crossed book and an update id that is not above the last one are passed on: the engine drops
and counts them by its own rules. Backpack documents `u`, `E` and `T` both as strings and as integers: both
are accepted.
"""

from typing import Final, NamedTuple

import msgspec

from paceline.core.money import parse_decimal
from paceline.messages.decode_errors import DECODE_ERRORS
from paceline.messages.inbound import PriceUpdate

MAX_FRAME_BYTES: Final = 64 << 10
MAX_SCALED: Final = 10**18  # 10¹⁰ units: fits every column and every 64-bit integer
MAX_ID: Final = 2**63 - 1
_STREAM: Final = "bookTicker."


class Refusal(NamedTuple):
    """Why a frame is not used: a code to count by and a sentence for people."""

    code: str
    detail: str


class Refused(ValueError):
    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.refusal = Refusal(code, detail)


class Acknowledgement(NamedTuple):
    """The exchange confirms a request of ours: there is nothing to do."""


class BookTicker(msgspec.Struct, frozen=True):
    """As on the wire: a/A best ask and its quantity, b/B best bid, E/T event and engine time in µs."""

    e: str
    s: str
    b: str
    B: str
    a: str
    A: str
    u: int | str
    E: int | str | None = None
    T: int | str | None = None


class Envelope(msgspec.Struct, frozen=True):
    stream: str
    data: BookTicker


class Reply(msgspec.Struct, frozen=True):
    """Any other frame of the exchange: an answer to a request, a frame of another stream, or else."""

    stream: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_envelopes = msgspec.json.Decoder(Envelope)
_replies = msgspec.json.Decoder(Reply)


def decode(frame: bytes, symbols: frozenset[str]) -> PriceUpdate | Refusal | Acknowledgement:
    """The price update of a frame; its `time` is 0 until it is written to the log."""
    if len(frame) > MAX_FRAME_BYTES:
        return Refusal("too_long", f"{len(frame)} bytes, the limit is {MAX_FRAME_BYTES}")
    try:
        envelope = _envelopes.decode(frame)
    except DECODE_ERRORS as error:
        return _not_a_ticker(frame, error)
    try:
        return _price_update(envelope, symbols)
    except Refused as refused:
        return refused.refusal


def _price_update(envelope: Envelope, symbols: frozenset[str]) -> PriceUpdate:
    data = envelope.data
    if data.e != "bookTicker":
        raise Refused("other_event", f"e: event {data.e[:40]!r}, not bookTicker")
    if data.s not in symbols:
        raise Refused("unknown_symbol", f"s: {data.s[:40]!r} is not a symbol of this feed")
    if envelope.stream != _STREAM + data.s:
        raise Refused("stream_mismatch", f"stream: {envelope.stream[:60]!r} carries symbol {data.s!r}")
    update_id = _integer("u", data.u)
    event_us = None if data.E is None else _integer("E", data.E)
    engine_us = None if data.T is None else _integer("T", data.T)
    return PriceUpdate(
        id=f"p:{data.s}:{update_id}",
        time=0,
        symbol=data.s,
        bid=_decimal("b", data.b),
        bid_quantity=_decimal("B", data.B),
        ask=_decimal("a", data.a),
        ask_quantity=_decimal("A", data.A),
        update_id=update_id,
        venue_time_us=event_us if engine_us is None else engine_us,
    )


def _decimal(name: str, text: str) -> int:
    try:
        value = parse_decimal(text)
    except ValueError as error:
        raise Refused("bad_number", f"{name}: {error}") from error
    if value > MAX_SCALED:
        raise Refused("bad_number", f"{name}: {text[:40]!r} is out of range")
    return value


def _integer(name: str, value: int | str) -> int:
    """A number that may come as an integer or as its decimal digits."""
    if isinstance(value, str):
        if not (value.isascii() and value.isdecimal() and len(value) <= 19):
            raise Refused("bad_number", f"{name}: {value[:40]!r} is not a whole number")
        value = int(value)
    if not 0 <= value <= MAX_ID:
        raise Refused("bad_number", f"{name}: {str(value)[:40]} is out of range")
    return value


def _not_a_ticker(frame: bytes, error: Exception) -> Refusal | Acknowledgement:
    """Classify a frame that is not a `bookTicker` envelope."""
    if not isinstance(error, msgspec.ValidationError):
        return Refusal("not_json", f"not JSON: {str(error)[:200]}")
    try:
        reply = _replies.decode(frame)
    except msgspec.ValidationError:
        return Refusal("wrong_shape", f"not a JSON object: {error}")
    except DECODE_ERRORS as later:  # the first decoder stopped at a wrong type, before the invalid JSON
        return Refusal("not_json", f"not JSON: {str(later)[:200]}")
    if reply.error is not msgspec.UNSET and bytes(reply.error) != b"null":
        return Refusal("exchange_error", f"the exchange refuses a request: {bytes(reply.error)[:200]!r}")
    if reply.result is not msgspec.UNSET and reply.stream is msgspec.UNSET:
        return Acknowledgement()
    return Refusal("wrong_shape", str(error)[:300])
