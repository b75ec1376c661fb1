"""Recorded frames of an exchange's WebSocket, one per line, as the price updates that our feed would write.

    1723161255088169167 {"stream":"btcusdt@bookTicker","data":{"u":5123,"s":"BTCUSDT","b":"61800.20",…}}

The number before the JSON is the time of receipt in nanoseconds. It becomes the `time` of the message, which
on our log is always our time, never the venue's. A frame without that number uses its event time `E`. Only
`bookTicker` frames are prices.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec
from msgspec import Raw, Struct

from paceline.core.money import parse_decimal
from paceline.messages.decode_errors import DECODE_ERRORS
from paceline.messages.inbound import PriceUpdate

Venue = Literal["binance", "backpack"]

# Unit of the venue's times, in µs: Binance uses milliseconds, Backpack microseconds.
_UNIT_US: Final[dict[Venue, int]] = {"binance": 1_000, "backpack": 1}


class FrameError(ValueError):
    """The line is not a frame, or its numbers cannot be read; the error says why."""


class _Frame(Struct):
    data: Raw
    stream: str = ""


class _BookTicker(Struct):
    """`u` is a string in Backpack's documentation but an integer on the wire: both are accepted."""

    s: str
    b: str
    B: str
    a: str
    A: str
    u: int | str
    E: int | None = None
    T: int | None = None


_frame = msgspec.json.Decoder(_Frame)
_book_ticker = msgspec.json.Decoder(_BookTicker)


def price_of_frame(line: bytes, venue: Venue, symbols: Mapping[str, str]) -> PriceUpdate | None:
    """The price update of a recorded line; None for a frame of another kind; `FrameError` if it is invalid.

    `symbols` maps the venue's symbols to ours; other symbols are not changed.
    """
    head, separator, rest = line.strip().partition(b" ")
    received_ns = int(head) if separator and head.isdigit() else None
    try:
        frame = _frame.decode(rest if received_ns is not None else line)
        if "bookTicker" not in frame.stream:
            return None
        ticker = _book_ticker.decode(frame.data)
        return _price_update(ticker, venue, symbols, received_ns)
    except DECODE_ERRORS as error:
        raise FrameError(str(error)) from error


def _price_update(
    ticker: _BookTicker, venue: Venue, symbols: Mapping[str, str], received_ns: int | None
) -> PriceUpdate:
    unit_us = _UNIT_US[venue]
    if received_ns is not None:
        time_us = received_ns // 1_000
    elif ticker.E is not None:
        time_us = ticker.E * unit_us
    else:
        raise FrameError("the frame has neither a time of receipt nor an event time")
    symbol = symbols.get(ticker.s, ticker.s)
    update_id = int(ticker.u)
    venue_time = ticker.T if ticker.T is not None else ticker.E
    return PriceUpdate(
        id=f"{symbol}-{update_id}",
        time=time_us,
        symbol=symbol,
        bid=parse_decimal(ticker.b),
        bid_quantity=parse_decimal(ticker.B),
        ask=parse_decimal(ticker.a),
        ask_quantity=parse_decimal(ticker.A),
        update_id=update_id,
        venue_time_us=None if venue_time is None else venue_time * unit_us,
    )
