"""Benchmarks of the pure engine without servers: throughput, snapshot pauses, loading, memory.

    python -m bench.core [--quick] [--json] [--mixed]

Each figure comes with a limit measured in the same run, to distinguish a noisy machine from a slow engine.
`--json` prints one line per figure. If the engine is compiled, the mixed load also runs on the plain Python
engine, in its own process.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from time import perf_counter

from bench import core_load as load
from bench.figures import Figure, add_json_option, show
from bench.steal_time import least_disturbed
from paceline.build import compiled
from paceline.core.money import SCALE
from paceline.engine import Engine
from paceline.messages.inbound import Inbound
from paceline.messages.log_form import decode_messages, encode_effects


def seconds(work: Callable[[], object]) -> float:
    began = perf_counter()
    work()
    return perf_counter() - began


def settle_memory() -> None:
    """Freeze all objects, as the service does after loading: the garbage collector does not scan them.

    Garbage of earlier measurements is collected first.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def run_batches(engine: Engine, batches: Sequence[bytes]) -> None:
    """Do what the service does with each record: decode, apply, encode the effects."""
    for value in batches:
        effects = engine.apply_batch(decode_messages(value))
        if effects:
            encode_effects(effects)


def decode_only(batches: Sequence[bytes]) -> None:
    for value in batches:
        decode_messages(value)


def apply_all(engine: Engine, messages: Iterable[Inbound]) -> None:
    for message in messages:
        engine.apply(message)


def fresh(accounts: int) -> Engine:
    engine = Engine()
    engine.apply(load.market())
    apply_all(engine, load.accounts(accounts))
    engine.apply(load.price(engine.position, load.MID))
    return engine


def with_trades(accounts: int, trades: int, trailing: int | None = None) -> Engine:
    engine = fresh(accounts)
    apply_all(engine, (load.trade(engine.position, n % accounts, load.MID, trailing) for n in range(trades)))
    return engine


def rate_figure(name: str, engine: Engine, messages: list[Inbound], must: float, aim: float) -> Figure:
    batches = load.encoded(messages)
    settle_memory()
    decoding = len(messages) / seconds(lambda: decode_only(batches))
    rate = len(messages) / seconds(lambda: run_batches(engine, batches))
    engine.check_ledger()
    return Figure(name, rate, "messages/s", must, aim, decoding, "decoding alone")


def mixed_load(scale: int) -> list[Figure]:
    accounts = 100_000 // scale
    engine = fresh(accounts)
    messages = load.mixed(engine.position, 600_000 // scale, accounts)
    return [rate_figure("mixed load", engine, messages, 200_000, 500_000)]


def mixed_load_uncompiled(scale: int) -> Figure:
    """The same load on the plain Python engine, in its own process."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.core", "--mixed", "--json", *(["--quick"] if scale > 1 else [])],
        env={**os.environ, "PACELINE_ENGINE": "python"},
        stdout=subprocess.PIPE,
        check=True,
    )
    measured = json.loads(done.stdout)
    return Figure("mixed load, plain Python", measured["value"], measured["unit"])


def prices_only(scale: int) -> list[Figure]:
    """Prices with no levels and with 100,000 levels on the symbol."""
    figures = []
    for name, trades in (("prices, empty book", 0), ("prices, 100,000 levels", 50_000 // scale)):
        engine = with_trades(1_000, trades)
        messages = load.prices(engine.position, 1_000_000 // scale)
        figures.append(rate_figure(name, engine, messages, 800_000, 1_500_000))
    empty, full = figures
    costs = Figure(
        "prices, 100,000 levels: cost against an empty book", empty.value / full.value, "×", 2.0, 1.0
    )
    return [empty, full, costs]


def trailing_rising(scale: int) -> list[Figure]:
    engine = fresh(1_000)
    for number in range(10_000):
        distance = SCALE * 10 + number * load.TICK
        engine.apply(load.trade(engine.position, number % 1_000, load.MID, distance))
    messages = load.rising(engine.position, 200_000 // scale, load.MID)
    return [rate_figure("10,000 trailing stops, rising", engine, messages, 50_000, 500_000)]


def snapshots(scale: int) -> list[Figure]:
    """Pauses of a capture while the mixed load runs between its slices; then the time to load it."""
    accounts = 100_000 // scale
    engine = with_trades(accounts, accounts)
    messages = load.mixed(engine.position, 20_000, accounts, seed=3)
    settle_memory()
    pauses, chunks = captured(engine, messages)
    pauses.sort()
    began = perf_counter()
    loaded = Engine.load(chunks)
    loading = perf_counter() - began
    hashing = seconds(loaded.state_hash)
    return [
        Figure("snapshot pause, p99", pauses[len(pauses) * 99 // 100] * 1e3, "ms", 5, 1),
        Figure("snapshot pause, longest", pauses[-1] * 1e3, "ms"),
        Figure("snapshot, all slices", sum(pauses), "s"),
        Figure("load that state", loading, "s", 5, 2),
        Figure("hash of that state", hashing, "s"),
    ]


def captured(engine: Engine, messages: Sequence[Inbound]) -> tuple[list[float], list[bytes]]:
    pauses: list[float] = []
    chunks: list[bytes] = []
    began = perf_counter()
    capture = engine.begin_capture()
    pauses.append(perf_counter() - began)
    slices = capture.slices()
    at = 0
    while True:
        began = perf_counter()
        chunk = next(slices, None)
        pauses.append(perf_counter() - began)
        if chunk is None:
            return pauses, chunks
        chunks.append(chunk)
        apply_all(engine, messages[at : at + 20])
        at += 20


def memory(scale: int) -> Figure:
    """Resident memory of a state of 100,000 accounts and open trades."""
    before = resident_mb()
    engine = with_trades(100_000 // scale, 100_000 // scale)
    gc.collect()
    used = resident_mb() - before
    engine.check_ledger()
    return Figure("memory of 100,000 accounts and open trades", used, "MB", 600, 300)


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6


def reference_loop(scale: int) -> Figure:
    """The speed of the machine, to compare runs: additions in plain Python."""
    rounds = 5_000_000 // scale
    numbers = [Random(4).randrange(1_000) for _ in range(1_000)]

    def work() -> None:
        total = 0
        for _ in range(rounds // 1_000):
            for number in numbers:
                total += number

    return Figure("yardstick: additions in a Python loop", rounds / seconds(work), "additions/s")


def main(arguments: Sequence[str]) -> list[Figure]:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the load, for a quick check")
    parser.add_argument("--mixed", action="store_true", help="only the mixed load")
    add_json_option(parser)
    options = parser.parse_args(arguments)
    scale = 10 if options.quick else 1
    if not options.json:
        print(f"engine: {compiled.form()}", flush=True)
    figures = mixed_load(scale) if options.mixed else all_figures(scale)
    show(figures, options.json)
    return figures


def all_figures(scale: int) -> list[Figure]:
    figures = [memory(scale), reference_loop(scale)]
    for measure in (mixed_load, prices_only, trailing_rising, snapshots):
        figures += least_disturbed(partial(measure, scale))
    if compiled.in_use():
        figures.append(mixed_load_uncompiled(scale))
    return figures


if __name__ == "__main__":
    main(sys.argv[1:])
