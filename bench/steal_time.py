"""Steal time: core time that the host gives to other virtual machines, in which nothing here can run."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final, Generic, TypeVar

import psutil

from bench.figures import Figure

T = TypeVar("T")

# It is 0.02 to 0.5 when the host is quiet. One busy process on two cores is affected twice as much.
_MAX_STEAL_PERCENT: Final = 2.0


class StealTime:
    """`percent` of core time that the host took during the block; 0 if the system does not report it."""

    def __init__(self) -> None:
        self.percent = 0.0

    def __enter__(self) -> "StealTime":
        self._before = psutil.cpu_times()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        after = psutil.cpu_times()
        total = sum(after) - sum(self._before)
        stolen = getattr(after, "steal", 0.0) - getattr(self._before, "steal", 0.0)
        self.percent = 100 * stolen / total if total > 0 else 0.0

    def figure(self, of: str) -> Figure:
        return Figure(f"{of}: taken by the host", self.percent, "% of the cores")


@dataclass(frozen=True)
class Window(Generic[T]):
    """A measurement, and what the host took during it."""

    measured: T
    taken: StealTime


def windows(measure: Callable[[], T], most: int) -> list[Window[T]]:
    """Repeat a measurement while the host takes much of the cores, at most `most` times.

    The windows are sorted by the host's share, least first, never by the measured values.
    """
    seen: list[Window[T]] = []
    while len(seen) < most and not (seen and seen[-1].taken.percent <= _MAX_STEAL_PERCENT):
        with StealTime() as taken:
            measured = measure()
        seen.append(Window(measured, taken))
    return sorted(seen, key=lambda window: window.taken.percent)


def least_disturbed(measure: Callable[[], list[Figure]]) -> list[Figure]:
    """Figures of the least disturbed of at most three windows, then the others' figures with a target."""
    counted, *disturbed = windows(measure, 3)
    return counted.measured + [
        replace(figure, name=not_counted(figure.name, window.taken), must=None, aim=None)
        for window in disturbed
        for figure in window.measured
        if figure.must
    ]


def not_counted(name: str, taken: StealTime) -> str:
    return f"{name}, not counted: the host took {taken.percent:.0f} % of the cores"
