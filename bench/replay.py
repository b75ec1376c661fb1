"""How fast `paceline replay` runs JSON lines: against `json.loads` of the same file alone.

    python -m bench.replay [--quick] [--json]

The file holds the mixed load of `bench.core`, a message a line. Each round reads it with `json.loads`, then
runs the command in a process of its own, which reports how long it took without its start. The medians of
the rounds count. Where the engine is compiled, its plain form runs the file in the same rounds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

from bench import core_load as load
from bench.figures import Figure, add_json_option, show
from bench.steal_time import least_disturbed
from paceline.build import compiled
from paceline.messages.json_form import encode_line, to_json

_ROUNDS = 5


@dataclass(frozen=True)
class Round:
    """Seconds that one round took for all lines, and how many times `json.loads` that is."""

    loads_s: float
    replay_s: float

    @property
    def ratio(self) -> float:
        return self.replay_s / self.loads_s


def write_load(path: Path, accounts: int, messages: int) -> int:
    """Write a market, its accounts and the mixed load as JSON lines; returns the number of lines."""
    made = [load.market(), *load.accounts(accounts)]
    made.append(load.price(len(made), load.MID))
    made += load.mixed(len(made), messages, accounts)
    with path.open("wb") as file:
        file.writelines(encode_line(to_json(message)) + b"\n" for message in made)
    return len(made)


def loads_seconds(path: Path) -> float:
    """How long `json.loads` takes for all lines of a file, reading it included."""
    began = perf_counter()
    with path.open("rb") as lines:
        for line in lines:
            json.loads(line)
    return perf_counter() - began


def replay_seconds(path: Path, lines: int, engine: str, out: Path | None = None) -> float:
    """How long the command takes for the file, as it reports, with the engine `compiled` or `python`."""
    written = ["--out", str(out)] if out else []
    done = subprocess.run(
        [sys.executable, "-m", "paceline.cli", "replay", str(path), "--json", *written],
        env={**os.environ, "PACELINE_ENGINE": engine},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # its progress
        check=True,
    )
    report = json.loads(done.stdout)
    if (report["messages"], report["undecodable"]) != (lines, 0):
        raise RuntimeError(f"the replay of {lines} lines has other messages: {report}")
    return float(report["seconds"])


def cost_figures(name: str, lines: int, rounds: Sequence[Round], marks: bool) -> list[Figure]:
    """The rate beside that of `json.loads`, and the median of the rounds' ratios."""
    rate, limit = (lines / median(s) for s in ([r.replay_s for r in rounds], [r.loads_s for r in rounds]))
    must, aim = (4, 3) if marks else (None, None)
    return [
        Figure(name, rate, "messages/s", limit=limit, limit_of="json.loads of the file"),
        Figure(f"{name}: cost against json.loads", median(r.ratio for r in rounds), "×", must, aim),
    ]


def measure(scale: int) -> list[Figure]:
    name, engine = "replay of JSON lines", "compiled" if compiled.in_use() else "python"
    ways = [(name, engine, False), (f"{name}, outputs written", engine, True)]
    if engine == "compiled":
        ways.append((f"{name}, plain Python", "python", False))
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder, "mixed.jsonl"), Path(folder, "out.jsonl")
        lines = write_load(path, 10_000 // scale, 200_000 // scale)
        rounds: dict[str, list[Round]] = {name: [] for name, *_ in ways}
        for _ in range(_ROUNDS):
            for name, engine, writes in ways:
                loads_s = loads_seconds(path)
                replay_s = replay_seconds(path, lines, engine, out if writes else None)
                rounds[name].append(Round(loads_s, replay_s))
    return [
        figure
        for number, (name, *_) in enumerate(ways)
        for figure in cost_figures(name, lines, rounds[name], marks=number == 0)
    ]


def main(arguments: Sequence[str]) -> list[Figure]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the load, for a first look")
    add_json_option(parser)
    options = parser.parse_args(arguments)
    figures = least_disturbed(partial(measure, 10 if options.quick else 1))
    show(figures, options.json)
    return figures


if __name__ == "__main__":
    main(sys.argv[1:])
