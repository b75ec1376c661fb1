"""Medians of the rounds, and how many times faster Paceline is at the same work."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.sidebyside.work import BRACKETS, OURS, Measured

_DIFFERENT_WORK = 20  # more than one bracket in this many closed differently: not the same work

# Target ratios by work and by the prefix of a contender's name.
AIMS: Mapping[tuple[str, str], float] = {
    ("nautilus_trader 1.", BRACKETS): 20,
    ("nautilus_trader 2.", BRACKETS): 10,
}


@dataclass(frozen=True)
class Row:
    """Rates are per second of wall time, `…_cpu` per second of the process's CPU time.

    `times` is how many times faster Paceline is; below 1 it is slower. Without `same_work` (another number of
    brackets closed by a level) it means nothing.
    """

    what: str
    who: str
    quotes_per_s: float
    orders_per_s: float
    quotes_per_s_cpu: float
    orders_per_s_cpu: float
    closed: int | None
    times: float
    times_cpu: float
    aim: float | None
    same_work: bool


def compare(measured: Sequence[Measured], aims: Mapping[tuple[str, str], float]) -> list[Row]:
    """A row for each contender and work, in the order of the works, Paceline first."""
    found: dict[tuple[str, str], list[Measured]] = {}
    for one in sorted(measured, key=lambda m: _order(measured, m)):
        found.setdefault((one.what, one.who), []).append(one)
    return [_row(what, rounds, found[what, OURS], aims) for (what, _), rounds in found.items()]


def _order(measured: Sequence[Measured], one: Measured) -> int:
    return [other.what for other in measured].index(one.what)


def _row(
    what: str, rounds: Sequence[Measured], ours: Sequence[Measured], aims: Mapping[tuple[str, str], float]
) -> Row:
    one = rounds[0]
    wall_s, cpu_s = _medians(rounds)
    # Per piece of work, because the Kafka part has another number of quotes.
    our_wall_s, our_cpu_s = (seconds / _pieces_of_work(ours[0]) for seconds in _medians(ours))
    aim = next((a for (who, work), a in aims.items() if one.who.startswith(who) and what == work), None)
    return Row(
        what, one.who, one.quotes / wall_s, one.orders / wall_s, one.quotes / cpu_s, one.orders / cpu_s,
        one.closed, wall_s / _pieces_of_work(one) / our_wall_s, cpu_s / _pieces_of_work(one) / our_cpu_s, aim,
        _same_work(one.closed, ours[0].closed),
    )  # fmt: skip


def _same_work(closed: int | None, ours: int | None) -> bool:
    return closed is None or ours is None or abs(closed - ours) * _DIFFERENT_WORK <= ours


def _pieces_of_work(one: Measured) -> int:
    return one.orders or one.quotes


def _medians(rounds: Sequence[Measured]) -> tuple[float, float]:
    return statistics.median(r.wall_s for r in rounds), statistics.median(r.cpu_s for r in rounds)


def table(rows: Sequence[Row]) -> str:
    """A Markdown table, ready for a document."""
    heads = ["work", "who", "quotes/s", "orders/s", "orders per s of CPU", "closed by a level"]
    lines = [[*heads, "Paceline is (wall)", "Paceline is (CPU)", "aim"]]
    lines.append(["---"] * len(lines[0]))
    for row in rows:
        ratios = ["", ""] if row.who.startswith(OURS) else _ratios(row)
        rates = [row.quotes_per_s, row.orders_per_s, row.orders_per_s_cpu]
        closed = "" if row.closed is None else f"{row.closed:,}"
        aim = f"{row.aim:g} ×" if row.aim else ""
        lines.append([row.what, row.who, *(f"{r:,.0f}" if r else "" for r in rates), closed, *ratios, aim])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _ratios(row: Row) -> list[str]:
    return [_times(row.times), _times(row.times_cpu)] if row.same_work else ["not the same work"] * 2


def _times(ratio: float) -> str:
    return f"{ratio:.0f} ×" if ratio >= 10 else f"{ratio:.2g} ×"
