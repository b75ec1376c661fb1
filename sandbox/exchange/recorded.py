"""Recorded `bookTicker` frames as quotes: Binance's and Backpack's, plain or gzipped, read line by line.

A line is `<receive ns> <JSON>`, or the JSON alone: then its event time sets the pauses. Other frames
(trades, depth) and lines that cannot be read are skipped: a recording is what a venue said, not what we
wish it had.
"""

import gzip
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from paceline.core.money import format_decimal
from paceline.usecases.replay.recorded_frames import FrameError, price_of_frame
from sandbox.exchange.protocol import Quote

SCAN_LINES: Final = 10_000
MAX_LINE: Final = 1 << 20
_MICROSECONDS_FROM: Final = 10**14  # a time below this is Binance's event time, in ms


class Recorded(NamedTuple):
    at_us: int
    quote: Quote


def read(path: Path, symbols: Mapping[str, str]) -> Iterator[Recorded]:
    """The quotes of a recording in its order; `symbols` renames (`BTCUSDT` → `BTC_USDC_PERP`)."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
        while line := lines.readline(MAX_LINE):
            found = parse(line, symbols)
            if found is not None:
                yield found


def parse(line: bytes, symbols: Mapping[str, str]) -> Recorded | None:
    """The quote of a line, `None` if it holds none. Numbers come out without Binance's padding zeros."""
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
    return Recorded(price.time if price.time > _MICROSECONDS_FROM else price.time * 1000, quote)


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
