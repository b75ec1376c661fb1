"""Recorded `bookTicker` frames as quotes: Binance's and Backpack's, plain or gzipped, read line by line.

A line is `<receive ns> <JSON>` or the JSON alone; then the pauses come from the frame's event time
(Binance milliseconds, Backpack microseconds). Other frames (trades, depth) and lines that cannot be
read are skipped: a recording is what a venue said, not what we wish it had.
"""

import gzip
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from paceline.core.money import format_decimal, parse_decimal
from sandbox.exchange.protocol import Quote

SCAN_LINES: Final = 10_000
MAX_LINE: Final = 1 << 20
_MICROSECONDS_FROM: Final = 10**14  # an event time above this is in µs, below in ms


class Data(msgspec.Struct, frozen=True):
    s: str
    b: str
    a: str
    B: str
    A: str
    E: int | None = None


class Envelope(msgspec.Struct, frozen=True):
    data: Data
    stream: str


class Recorded(NamedTuple):
    at_us: int
    quote: Quote


_envelopes = msgspec.json.Decoder(Envelope)


def read(path: Path, symbols: Mapping[str, str]) -> Iterator[Recorded]:
    """The quotes of a recording in its order; `symbols` renames (`BTCUSDT` → `BTC_USDC_PERP`)."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
        while line := lines.readline(MAX_LINE):
            found = parse(line, symbols)
            if found is not None:
                yield found


def parse(line: bytes, symbols: Mapping[str, str]) -> Recorded | None:
    """The quote of a line, `None` if it holds none."""
    if b"bookTicker" not in line:
        return None
    received_ns, json = _split(line)
    try:
        envelope = _envelopes.decode(json)
        data = envelope.data
        bid, bid_quantity, ask, ask_quantity = map(_tidy, (data.b, data.B, data.a, data.A))
    except (msgspec.MsgspecError, ValueError):
        return None
    quote = Quote(market_of(data.s, symbols), bid, bid_quantity, ask, ask_quantity)
    if received_ns is not None:
        return Recorded(received_ns // 1000, quote)
    event = data.E or 0
    return Recorded(event if event > _MICROSECONDS_FROM else event * 1000, quote)


def market_of(symbol: str, symbols: Mapping[str, str]) -> str:
    """Our market of a recorded symbol: as renamed, else `XUSDT` and `X_USDC` become `X_USDC_PERP`."""
    if symbol in symbols:
        return symbols[symbol]
    if symbol.endswith("USDT") and "_" not in symbol:
        return f"{symbol.removesuffix('USDT')}_USDC_PERP"
    if symbol.endswith("_USDC"):
        return f"{symbol}_PERP"
    return symbol


def symbols_in(path: Path, symbols: Mapping[str, str]) -> frozenset[str]:
    """The markets a recording holds, by its first quotes; `ValueError` when it holds none."""
    found = frozenset(item.quote.symbol for item in islice(read(path, symbols), SCAN_LINES))
    if not found:
        raise ValueError(f"{path.name}: holds no bookTicker frame of Binance or Backpack")
    return found


def _split(line: bytes) -> tuple[int | None, bytes]:
    head, space, rest = line.partition(b" ")
    if space and head.isdigit():
        return int(head), rest
    return None, line


def _tidy(text: str) -> str:
    """Binance pads with zeros (`61686.00000000`); Backpack does not."""
    return format_decimal(parse_decimal(text))
