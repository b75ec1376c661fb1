"""The quotes for all contenders: recorded ones if there are any, else a seeded walk."""

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path

from bench import core_load
from bench.sidebyside.work import Quote
from paceline.messages.inbound import Inbound, PriceUpdate
from paceline.usecases.replay.recorded_frames import price_of_frame

_RECORDED = Path("shared", "data", "ticks", "usdm_btcusdt_20240808.gz")
_WALK_QUOTES = 66_000
_QUOTE_INTERVAL_US = 5_000  # nautilus_trader refuses more than 100 orders in a second of its own clock


def default_recording() -> Path | None:
    """A file of recorded Binance frames beside the checkout, if it exists. It is not part of the project."""
    path = Path(__file__).resolve().parents[3] / _RECORDED
    return path if path.is_file() else None


def recorded(path: Path) -> list[Quote]:
    """All `bookTicker` frames of a Binance recording, in order. Other messages in it are skipped."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
        return list(_quotes(price_of_frame(line, "binance", {}) for line in lines if b"bookTicker" in line))


def walk() -> list[Quote]:
    quotes = _quotes(core_load.prices(0, _WALK_QUOTES))
    return [
        quote._replace(time_us=core_load.START_US + at * _QUOTE_INTERVAL_US)
        for at, quote in enumerate(quotes)
    ]


def _quotes(prices: Iterable[Inbound | None]) -> Iterator[Quote]:
    for price in prices:
        if isinstance(price, PriceUpdate):
            yield Quote(price.time, price.bid, price.bid_quantity, price.ask, price.ask_quantity)
