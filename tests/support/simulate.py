"""Run seeded scenarios through the engine and the reference and compare all outputs and states.

The engine is replaced by one loaded from its snapshot at regular intervals.

    python -m tests.support.simulate --seeds 200

A failing seed is shrunk to the lines that matter and written to a file for `paceline replay`.
"""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from tests.support.agreement import Disagreement, EnginePair, shrink
from tests.support.engine_messages import Scenario

STATE_EVERY = 100
RESTART_EVERY = 700


@dataclass(frozen=True)
class Result:
    """The result of one seed. `problem` is None if both engines agree."""

    seed: int
    messages: int
    outputs: int
    ended: int
    seconds: float
    state_hash: str
    problem: str | None
    lines: list[str]


def run_seed(seed: int, length: int) -> Result:
    """Run one scenario through both engines. An exception of either one is a problem too."""
    started = time.perf_counter()
    scenario = Scenario(seed, length)
    pair = EnginePair(scenario.reference.shard)
    problem, position = None, 0
    try:
        for position, line in enumerate(scenario.lines):
            pair.apply(line)
            if position % STATE_EVERY == 0:
                pair.compare_state()
            if position % RESTART_EVERY == RESTART_EVERY - 1:
                pair.restart_engine()
        pair.compare_state()
    except Disagreement as disagreement:
        problem = str(disagreement)
    except Exception as error:
        problem = f"at position {position} of\n  {scenario.lines[position]}\n{type(error).__name__}: {error}"
    kinds = Counter(output["type"] for outputs in scenario.outputs for output in outputs)
    return Result(
        seed=seed,
        messages=len(scenario.lines),
        outputs=kinds.total(),
        ended=kinds["closed_order"],
        seconds=time.perf_counter() - started,
        state_hash=pair.engine.state_hash() if problem is None else "",
        problem=problem,
        lines=[] if problem is None else shrink(scenario.lines[: position + 1], scenario.reference.shard),
    )


def run_seeds(seeds: Sequence[int], length: int, jobs: int) -> Iterator[Result]:
    """Yield results in the order in which they finish."""
    if jobs == 1:
        yield from (run_seed(seed, length) for seed in seeds)
        return
    with ProcessPoolExecutor(max_workers=jobs) as pool:
        for future in as_completed([pool.submit(run_seed, seed, length) for seed in seeds]):
            yield future.result()


def report(result: Result, length: int, folder: Path) -> None:
    """Print one line for a passed seed; otherwise the problem, its file and the command to repeat it."""
    summary = (
        f"seed {result.seed}: {result.messages} messages, {result.outputs} outputs, {result.ended} ended"
    )
    if result.problem is None:
        print(f"{summary}, {result.seconds:.1f} s, state {result.state_hash[:16]}: agree", flush=True)
        return
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"seed-{result.seed}.jsonl"
    file.write_text("".join(f"{line}\n" for line in result.lines), encoding="utf-8")
    print(f"{summary}: DISAGREE\n{result.problem}\nthe relevant lines (blank ones keep positions): {file}")
    print(
        f"again: python -m tests.support.simulate --first {result.seed} --seeds 1 --messages {length}",
        flush=True,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.simulate",
        description="Compare the engine with the naive reference over seeded random scenarios.",
    )
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds to run (default 20)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--messages", type=int, default=3_000, help="messages per seed (default 3000)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (default: one per core)")
    parser.add_argument("--out", type=Path, default=Path("var/simulate"), help="folder for failing scenarios")
    options = parser.parse_args(arguments)
    if min(options.seeds, options.messages, options.jobs) < 1 or options.first < 0:
        parser.error("--seeds, --messages and --jobs are at least 1, --first at least 0")
    failed: list[int] = []
    started = time.perf_counter()
    seeds = range(options.first, options.first + options.seeds)
    for result in run_seeds(seeds, options.messages, options.jobs):
        report(result, options.messages, options.out)
        if result.problem is not None:
            failed.append(result.seed)
    seconds = time.perf_counter() - started
    print(f"{len(seeds)} seeds in {seconds:.1f} s; {f'failed: {sorted(failed)}' if failed else 'all agree'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
