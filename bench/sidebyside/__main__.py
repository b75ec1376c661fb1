"""Compares the engine with alternatives: `python -m bench.sidebyside [--quotes 20000] [--rounds 3]`.

It creates the contenders' environments under `var/` when first needed, runs each contender in its own
process, in turn, and prints one table. A contender that cannot be installed is skipped, with the reason.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.sidebyside import ticks
from bench.sidebyside.comparison import AIMS, compare, table
from bench.sidebyside.environments import NoEnvironment, python_of
from bench.sidebyside.work import QUOTES_PER_BRACKET, Measured, write_quotes

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
_LONGEST_S = 1200


@dataclass(frozen=True)
class Contender:
    """A module of this package. Without `requirements` it runs in the project's own environment.

    `whole` is for a contender that is too fast to measure on the first quotes: it gets the whole recording.
    """

    module: str
    requirements: str = ""
    oldest: tuple[int, int] = (3, 11)
    newest: tuple[int, int] = (3, 13)
    whole: bool = False


OWN = "paceline"
CONTENDERS: Mapping[str, Contender] = {
    OWN: Contender("own_engine"),
    "nautilus-stable": Contender("nautilus_stable", "requirements-nautilus-stable.txt", (3, 12), (3, 14)),
    "nautilus-next": Contender("nautilus_next", "requirements-nautilus-next.txt", (3, 13), (3, 14)),
    "lightmatching": Contender("lightmatching", "requirements-lightmatching.txt"),
    "kafka": Contender("on_kafka", whole=True),
}


class Failed(Exception):
    """A contender is installed but fails."""


def environments(names: Sequence[str], folder: Path) -> dict[str, Path]:
    """The interpreter of each contender that can be installed. The others are printed with the reason."""
    pythons: dict[str, Path] = {}
    for name in names:
        wanted = CONTENDERS[name]
        try:
            pythons[name] = (
                python_of(folder / name, HERE / wanted.requirements, wanted.oldest, wanted.newest)
                if wanted.requirements
                else Path(sys.executable)
            )
        except NoEnvironment as error:
            print(f"{name}: skipped, {error}", flush=True)
    return pythons


def run(python: Path, module: str, quotes: Path) -> tuple[str, list[Measured]]:
    """The Python version of the contender, and its measurements."""
    command = [str(python), "-m", f"{__package__}.{module}", str(quotes)]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=_LONGEST_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{module} has not finished after {_LONGEST_S} s") from error
    if done.returncode:
        raise Failed(f"{module} has ended with code {done.returncode}:\n{done.stderr[-2000:]}")
    answer = json.loads(done.stdout)
    return answer["python"], [Measured(**one) for one in answer["measured"]]


def rounds(
    pythons: Mapping[str, Path], count: int, most_quotes: int, recording: Path | None
) -> tuple[dict[str, str], list[Measured]]:
    """Each contender's Python, and all measurements. They take turns: a busy minute affects all alike."""
    quotes = ticks.recorded(recording) if recording else ticks.walk()
    versions: dict[str, str] = {}
    measured: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="paceline-side-by-side-") as folder:
        first, whole = Path(folder, "first.csv"), Path(folder, "whole.csv")
        write_quotes(first, quotes[:most_quotes])
        write_quotes(whole, quotes)
        for number in range(1, count + 1):
            for name, python in pythons.items():
                print(f"round {number} of {count}: {name}", flush=True)
                contender = CONTENDERS[name]
                try:
                    found = run(python, contender.module, whole if contender.whole else first)
                except Failed as error:
                    if name == OWN:
                        raise
                    print(f"{name}: {error}", flush=True)
                    continue
                versions[name] = found[0]
                measured += found[1]
    return versions, measured


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--quotes", type=int, default=20_000, help="number of quotes (Kafka: all)")
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds; the table has the medians")
    parser.add_argument("--without", action="append", choices=sorted(CONTENDERS.keys() - {OWN}), default=[])
    parser.add_argument(
        "--ticks", type=Path, default=ticks.default_recording(), help="file of Binance frames"
    )
    parser.add_argument("--json", type=Path, default=Path("var/sidebyside.json"), help="file for the results")
    options = parser.parse_args()
    if options.quotes < QUOTES_PER_BRACKET or options.rounds < 1:
        parser.error(f"--quotes must be at least {QUOTES_PER_BRACKET} and --rounds at least 1")
    if options.ticks and not options.ticks.is_file():
        parser.error(f"{options.ticks}: the file does not exist")
    names = [name for name in CONTENDERS if name not in options.without]
    pythons = environments(names, Path("var/sidebyside").resolve())
    versions, measured = rounds(pythons, options.rounds, options.quotes, options.ticks)
    rows = compare(measured, AIMS)
    source = options.ticks.name if options.ticks else "a seeded walk, because there are no recorded ticks"
    print(f"\nquotes: {source}; Python: {versions}\n{table(rows)}")
    about = {"measured_at": int(time.time()), "quotes": source, "python": versions}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(about | {"rows": [asdict(row) for row in rows]}, indent=1))
    print(f"\nwritten to {options.json}")


if __name__ == "__main__":
    main()
