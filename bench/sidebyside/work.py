"""The work of all contenders. Standard library only, because each contender has its own environment.

A contender is a module that runs with a file of quotes and prints JSON: its Python and a list of `Measured`.
Prices and quantities are integers of 10⁻⁸ units.
"""

import csv
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, NamedTuple

OURS: Final = "Paceline"
BRACKETS: Final = "brackets"
QUOTES: Final = "quotes alone"
LIMIT_ORDERS: Final = "limit orders and cancels"
ON_KAFKA: Final = "brackets through Kafka"

SCALE = 10**8
TICK = SCALE // 10
QUOTES_PER_BRACKET = 20
ORDERS_PER_BRACKET = 3  # entry, stop loss and take profit
NOTIONAL = 500 * SCALE
QUANTITY = SCALE * 8 // 1000  # about NOTIONAL in BTC, for contenders that take a quantity


class Quote(NamedTuple):
    time_us: int
    bid: int
    bid_quantity: int
    ask: int
    ask_quantity: int


class Bracket(NamedTuple):
    """A market order with two levels; if one is hit, the other is cancelled."""

    long: bool
    stop_loss: int
    take_profit: int


@dataclass(frozen=True)
class Measured:
    """A measurement. `closed` is the number of brackets closed by a level, None if there are none."""

    who: str
    what: str
    quotes: int
    orders: int
    wall_s: float
    cpu_s: float
    closed: int | None = None


def bracket(number: int, quote: Quote) -> Bracket:
    """Long and short in turn, both levels 10 to 39 ticks outside the spread: most close within seconds."""
    distance = TICK * (10 + number % 30)
    if number % 2 == 0:
        return Bracket(True, quote.bid - distance, quote.ask + distance)
    return Bracket(False, quote.ask + distance, quote.bid - distance)


def brackets(quotes: Sequence[Quote]) -> Iterator[tuple[int, Bracket]]:
    """Brackets, each with the index of the quote that it follows."""
    for number, at in enumerate(range(QUOTES_PER_BRACKET - 1, len(quotes), QUOTES_PER_BRACKET)):
        yield at, bracket(number, quotes[at])


class LimitOrder(NamedTuple):
    """`key` is the order's number. With `cancels` it is not a new order: it cancels that one."""

    key: int
    buy: bool
    price: int
    cancels: int | None = None


def limit_orders(quotes: Sequence[Quote]) -> Iterator[tuple[int, LimitOrder]]:
    """After each quote a limit order 1 to 50 ticks from the market. Every second one is cancelled at once."""
    for at, quote in enumerate(quotes):
        buy, distance = at % 4 < 2, TICK * (1 + at % 50)
        yield at, LimitOrder(at, buy, quote.bid - distance if buy else quote.ask + distance)
        if at % 2 == 1:
            yield at, LimitOrder(at, buy, 0, cancels=at)


def write_quotes(path: Path, quotes: Iterable[Quote]) -> None:
    with path.open("w", newline="", encoding="ascii") as file:
        csv.writer(file).writerows(quotes)


def read_quotes(path: Path) -> list[Quote]:
    with path.open(newline="", encoding="ascii") as file:
        return [Quote(*map(int, row)) for row in csv.reader(file)]


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of wall time and of this process's CPU time."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def run_contender(measure: Callable[[list[Quote]], list[Measured]]) -> None:
    """Main program of a contender. The result goes to descriptor 1, output of the library to stderr."""
    answer = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    found = measure(read_quotes(Path(sys.argv[1])))
    python = sys.version.split()[0]
    answer.write(json.dumps({"python": python, "measured": [asdict(one) for one in found]}))
    answer.close()
