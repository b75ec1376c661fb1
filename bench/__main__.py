"""Runs all benchmarks and prints one table: `python -m bench [--quick] [--without stack] [--json FILE]`.

Each part also runs alone: `python -m bench.core`, `bench.replay`, `bench.log`, `bench.feed`, `bench.stack`.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench import core, feed, log, replay, stack
from bench.figures import Figure, table
from bench.steal_time import StealTime

# The parts, with their arguments for `--quick`.
_PARTS: Mapping[str, tuple[Callable[[Sequence[str]], list[Figure]], list[str]]] = {
    "core": (core.main, ["--quick"]),
    "replay": (replay.main, ["--quick"]),
    "log": (log.main, ["--quick"]),
    "feed": (feed.main, ["--seconds", "4", "--rate", "1000"]),
    "stack": (stack.main, ["--seconds", "5", "--warm-up", "5", "--orders", "50"]),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="smaller loads, for a quick check")
    parser.add_argument("--without", action="append", choices=_PARTS, default=[], help="leave out a part")
    parser.add_argument(
        "--json", type=Path, default=Path("var/bench.json"), help="where to write the figures"
    )
    options = parser.parse_args()
    figures: list[Figure] = []
    for name, (measure, quick) in _PARTS.items():
        if name not in options.without:
            print(f"\n{name}", flush=True)
            with StealTime() as taken:
                figures += measure(quick if options.quick else [])
            figures.append(taken.figure(name))
            # Written after each part, so that a failing part does not lose the others.
            write(options.json, figures, quick=options.quick)
    print(f"\nall\n{table(figures)}\n\nwritten to {options.json}")


def write(path: Path, figures: Sequence[Figure], *, quick: bool) -> None:
    about = {"measured_at": int(time.time()), "quick": quick, "python": sys.version.split()[0]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(about | {"figures": [figure.as_json() for figure in figures]}, indent=1))


if __name__ == "__main__":
    main()
