"""A measured figure, with its targets and a limit measured in the same run."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """`must` and `aim` are targets. `limit` is the value of `limit_of` in the same run and unit."""

    name: str
    value: float
    unit: str
    must: float | None = None
    aim: float | None = None
    limit: float | None = None
    limit_of: str = ""

    @property
    def ratio(self) -> float | None:
        return self.value / self.limit if self.limit else None

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"ratio": self.ratio}


def add_json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON line per figure instead of a table")


def show(figures: Sequence[Figure], as_json: bool) -> None:
    if as_json:
        for figure in figures:
            print(json.dumps(figure.as_json()))
    else:
        print(table(figures))


def quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def table(figures: Sequence[Figure]) -> str:
    rows: list[tuple[str, ...]] = [("what", "measured", "must", "aim", "limit in this run")]
    for f in figures:
        bounds = [f"{bound:,.0f}" if bound else "" for bound in (f.must, f.aim)]
        limit = f"{f.ratio:.0%} of {f.limit:,.0f} ({f.limit_of})" if f.ratio else ""
        value = f"{f.value:,.0f}" if f.value >= 1_000 else f"{f.value:.2f}"
        rows.append((f.name, f"{value} {f.unit}", *bounds, limit))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)
