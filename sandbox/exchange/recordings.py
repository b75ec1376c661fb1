"""Quotes from recorded `bookTicker` frames of Binance or Backpack, plain or gzipped, read line by line.

A line is `<receive ns> <JSON>`, or JSON only: then the event time sets the pauses. Other frames (trades,
depth) and unreadable lines are skipped, because a recording holds all that the exchange sent.
"""

import gzip
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from paceline.core.money import format_decimal
from paceline.usecases.replay.recorded_frames import FrameError, price_of_frame
from sandbox.exchange.protocol import Quote

SCANNED_QUOTES: Final = 10_000
MAX_LINE_BYTES: Final = 1 << 20
_MIN_MICROSECONDS: Final = 10**14  # a time below this is Binance's event time, in ms


class RecordedQuote(NamedTuple):
    at_us: int
    quote: Quote


def read(path: Path, symbols: Mapping[str, str]) -> Iterator[RecordedQuote]:
    """The quotes of a recording in order. `symbols` maps to market names (`BTCUSDT` → `BTC_USDC_PERP`)."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
        while line := lines.readline(MAX_LINE_BYTES):
            quote = parse_line(line, symbols)
            if quote is not None:
                yield quote


def parse_line(line: bytes, symbols: Mapping[str, str]) -> RecordedQuote | None:
    """The quote of a line, `None` if it has none. Numbers have no trailing zeros, which Binance adds."""
    if b"bookTicker" not in line:
        return None
    try:
        price = price_of_frame(line, "backpack", {})
    except FrameError:
        return None
    if price is None:
        return None
    quote = Quote(
        market_of(price.symbol, symbols),
        format_decimal(price.bid),
        format_decimal(price.bid_quantity),
        format_decimal(price.ask),
        format_decimal(price.ask_quantity),
    )
    return RecordedQuote(price.time if price.time > _MIN_MICROSECONDS else price.time * 1000, quote)


def market_of(symbol: str, symbols: Mapping[str, str]) -> str:
    """The market of a recorded symbol: from `symbols`, else `XUSDT` and `X_USDC` become `X_USDC_PERP`."""
    if symbol in symbols:
        return symbols[symbol]
    if symbol.endswith("USDT") and "_" not in symbol:
        return f"{symbol.removesuffix('USDT')}_USDC_PERP"
    if symbol.endswith("_USDC"):
        return f"{symbol}_PERP"
    return symbol


def symbols_in(path: Path, symbols: Mapping[str, str]) -> frozenset[str]:
    """The markets in the first quotes of a recording. `ValueError` if there are none."""
    found = frozenset(item.quote.symbol for item in islice(read(path, symbols), SCANNED_QUOTES))
    if not found:
        raise ValueError(f"{path.name}: has no bookTicker frame of Binance or Backpack")
    return found
