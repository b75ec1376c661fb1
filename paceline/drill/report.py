"""What a drill has to say: two tables in Markdown, and the same for machines."""

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

import msgspec
from msgspec import Struct

from paceline.drill.checks import Check
from paceline.drill.hits import Hit
from paceline.drill.schedule import SERVICES


class Report(Struct, frozen=True):
    """`stopped_by` is why the drill could not be carried through, if it could not."""

    seed: int
    began_at: str
    seconds: float
    sent: dict[str, int]
    kinds: dict[str, int]
    held_back: int
    repeated: int
    copies: int
    hits: list[Hit]
    checks: list[Check]
    stopped_by: str | None

    @property
    def passed(self) -> bool:
        return self.stopped_by is None and all(check.passed for check in self.checks)


def as_json(report: Report) -> dict[str, Any]:
    data: dict[str, Any] = msgspec.to_builtins(report)
    for row, check in zip(data["checks"], report.checks, strict=True):
        row["passed"] = check.passed
    return data | {"passed": report.passed}


def as_text(report: Report) -> str:
    sent = ", ".join(f"{count} {outcome}" for outcome, count in sorted(report.sent.items()))
    lines = [
        f"Seed {report.seed}, {report.began_at}, {report.seconds:.0f} s of load.",
        f"Instructions: {sum(report.sent.values())} sent ({sent}); {report.held_back} held back; "
        f"{report.repeated} came to the log more than once; {report.copies} outputs stand on it twice.",
        "",
        *_table(
            ("service", "kills", "well after (p50 / max)", "pauses", "well after (p50 / max)"),
            [(service, *_cells(report.hits, service)) for service in SERVICES],
        ),
        "",
        *_table(
            ("check", "compared", "result"),
            [(check.name, str(check.compared), _result(check)) for check in report.checks],
        ),
        "",
        *([f"Not carried through: {report.stopped_by}"] if report.stopped_by else []),
        *(check.line() for check in report.checks if not check.passed),
        "PASS" if report.passed else "FAIL",
    ]
    return "\n".join(lines)


def _result(check: Check) -> str:
    return "pass" if check.passed else f"FAIL: {len(check.problems)}"


def _cells(hits: Iterable[Hit], service: str) -> list[str]:
    cells = []
    for kind in ("kill", "pause"):
        times = [hit.recovered_s for hit in hits if (hit.service, hit.kind) == (service, kind)]
        cells += [str(len(times)), f"{median(times):.1f} / {max(times):.1f} s" if times else "–"]
    return cells


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table whose columns are aligned, numbers to the left like the rest."""
    widths = [max(len(row[column]) for row in (head, *body)) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return [line(head), line(["-" * width for width in widths]), *map(line, body)]


def progress(hits: Sequence[Hit], sent: Counter[str], elapsed_s: float) -> str:
    """One line: how far a drill has come."""
    kills = Counter(hit.service for hit in hits if hit.kind == "kill")
    counted = " ".join(f"{service} {kills[service]}" for service in SERVICES)
    pauses = sum(hit.kind == "pause" for hit in hits)
    told = ", ".join(f"{outcome} {count}" for outcome, count in sorted(sent.items()))
    return f"{elapsed_s:5.0f} s  kills: {counted}; pauses: {pauses}; {told}"
