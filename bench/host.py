"""What the host takes of a virtual machine's cores: time that passes, and in which nothing here can run."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final, Generic, TypeVar

import psutil

from bench.figures import Figure

T = TypeVar("T")

# In quiet minutes it is 0.02 to 0.5. One busy process of two cores feels twice as much.
_MUCH_PERCENT: Final = 2.0


class Taken:
    """`percent` of the cores' time that the host gave to others while the block ran; 0 where nobody tells."""

    def __init__(self) -> None:
        self.percent = 0.0

    def __enter__(self) -> "Taken":
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
    """What was measured in it, and what the host took meanwhile."""

    measured: T
    taken: Taken


def windows(measure: Callable[[], T], most: int) -> list[Window[T]]:
    """Measure again while the host takes much of the cores; `most` windows, the least taken first.

    What was measured has no say in their order.
    """
    seen: list[Window[T]] = []
    while len(seen) < most and not (seen and seen[-1].taken.percent <= _MUCH_PERCENT):
        with Taken() as taken:
            measured = measure()
        seen.append(Window(measured, taken))
    return sorted(seen, key=lambda window: window.taken.percent)


def undisturbed(measure: Callable[[], list[Figure]]) -> list[Figure]:
    """The figures of the least taken of three windows; then what the others gave that has a mark."""
    counted, *disturbed = windows(measure, 3)
    return counted.measured + [
        replace(figure, name=not_counted(figure.name, window.taken), must=None, aim=None)
        for window in disturbed
        for figure in window.measured
        if figure.must
    ]


def not_counted(name: str, taken: Taken) -> str:
    return f"{name}, not counted: the host took {taken.percent:.0f} % of the cores"
