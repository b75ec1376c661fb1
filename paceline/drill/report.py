"""The report of a drill: two tables in Markdown, and the same as JSON."""

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

import msgspec
from msgspec import Struct

from paceline.adapters.runtime import terminal
from paceline.adapters.runtime.terminal import Column
from paceline.drill.checks import Check
from paceline.drill.hits import ActResult
from paceline.drill.schedule import SERVICES


class Report(Struct, frozen=True):
    """`stopped_by` is why the drill was not completed; None if it was."""

    seed: int
    began_at: str
    seconds: float
    sent: dict[str, int]
    kinds: dict[str, int]
    held_back: int
    repeated: int
    copies: int
    hits: list[ActResult]
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


_SERVICES = (
    Column(name="service"),
    Column(name="kills", align="right"),
    Column(name="kill_p50_s", header="well after p50 s", priority=1, align="right"),
    Column(name="kill_max_s", header="max s", align="right"),
    Column(name="pauses", align="right"),
    Column(name="pause_p50_s", header="well after p50 s", priority=1, align="right"),
    Column(name="pause_max_s", header="max s", align="right"),
)
_CHECKS = (
    Column(name="check", least=30),
    Column(name="compared", align="right"),
    Column(name="result", style=lambda result: "green" if result == "pass" else "red"),
)


def show(report: Report) -> None:
    """Print the report for a person."""
    sent = ", ".join(f"{count} {outcome}" for outcome, count in sorted(report.sent.items()))
    print(f"Seed {report.seed}, {report.began_at}, {report.seconds:.0f} s of load.")
    print(
        f"Instructions: {sum(report.sent.values())} sent ({sent}); {report.held_back} held back; "
        f"{report.repeated} reached the log more than once; {report.copies} outputs are on it twice.",
        end="\n\n",
    )
    terminal.show_table(_SERVICES, [_row(report.hits, service) for service in SERVICES], hint="--json")
    print()
    checks = [
        {"check": check.name, "compared": check.compared, "result": _result(check)} for check in report.checks
    ]
    terminal.show_table(_CHECKS, checks, hint="--json")
    print()
    if report.stopped_by:
        print(f"Not completed: {report.stopped_by}")
    for check in report.checks:
        if not check.passed:
            print(check.line())
    print("PASS" if report.passed else "FAIL")


def _result(check: Check) -> str:
    return "pass" if check.passed else f"FAIL: {len(check.problems)}"


def _row(hits: Iterable[ActResult], service: str) -> dict[str, Any]:
    row: dict[str, Any] = {"service": service}
    for kind in ("kill", "pause"):
        times = [hit.recovered_s for hit in hits if (hit.service, hit.kind) == (service, kind)]
        row[f"{kind}s"] = len(times)
        if times:
            row |= {f"{kind}_p50_s": f"{median(times):.1f}", f"{kind}_max_s": f"{max(times):.1f}"}
    return row


def progress(hits: Sequence[ActResult], sent: Counter[str], elapsed_s: float) -> str:
    """One line on the progress of a drill."""
    kills = Counter(hit.service for hit in hits if hit.kind == "kill")
    counted = " ".join(f"{service} {kills[service]}" for service in SERVICES)
    pauses = sum(hit.kind == "pause" for hit in hits)
    outcomes = ", ".join(f"{outcome} {count}" for outcome, count in sorted(sent.items()))
    return f"{elapsed_s:5.0f} s  kills: {counted}; pauses: {pauses}; {outcomes}"
