"""The share of CPU time that the host took during a block, from kernel counters."""

from collections import namedtuple

import psutil
import pytest

from bench.figures import Figure
from bench.steal_time import StealTime, least_disturbed, windows

Times = namedtuple("Times", ["user", "idle", "steal"])
Bare = namedtuple("Bare", ["user", "idle"])


@pytest.mark.parametrize(
    ("before", "after", "percent"),
    [
        (Times(10.0, 20.0, 5.0), Times(13.0, 22.0, 10.0), 50.0),
        (Times(10.0, 20.0, 5.0), Times(14.0, 26.0, 5.0), 0.0),
        (Times(10.0, 20.0, 5.0), Times(10.0, 20.0, 5.0), 0.0),
        (Bare(10.0, 20.0), Bare(14.0, 26.0), 0.0),
    ],
)
def test_the_percentage_of_stolen_time(
    monkeypatch: pytest.MonkeyPatch, before: tuple[float, ...], after: tuple[float, ...], percent: float
) -> None:
    counters = iter([before, after])
    monkeypatch.setattr(psutil, "cpu_times", lambda: next(counters))
    with StealTime() as taken:
        pass
    assert taken.percent == pytest.approx(percent)
    assert taken.figure("core").name == "core: taken by the host"


def host_takes(monkeypatch: pytest.MonkeyPatch, percents: list[float]) -> None:
    """Let the host take these percentages of the cores, one per window."""
    counters = iter([times for part in percents for times in (Times(0, 0, 0), Times(0, 100 - part, part))])
    monkeypatch.setattr(psutil, "cpu_times", lambda: next(counters))


@pytest.mark.parametrize(
    ("taken", "in_order"),
    [
        ([0.0], [0]),
        ([2.0], [0]),
        ([28.0, 6.0, 0.0], [2, 1, 0]),
        ([28.0, 9.0, 6.0, 12.0, 30.0, 7.0], [2, 5, 1, 3, 0, 4]),
    ],
)
def test_disturbed_windows_are_repeated_and_sorted_last(
    monkeypatch: pytest.MonkeyPatch, taken: list[float], in_order: list[int]
) -> None:
    host_takes(monkeypatch, taken)
    measured = iter(range(len(taken) + 1))
    assert [window.measured for window in windows(lambda: next(measured), 6)] == in_order
    assert next(measured) == len(taken)


def test_figures_of_disturbed_windows_are_listed_without_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    host_takes(monkeypatch, [30.0, 1.0])
    values = iter([1.0, 2.0])

    def measure() -> list[Figure]:
        value = next(values)
        return [Figure("speed", value, "messages/s", must=3, aim=4), Figure("beside", value, "s")]

    assert least_disturbed(measure) == [
        Figure("speed", 2.0, "messages/s", must=3, aim=4),
        Figure("beside", 2.0, "s"),
        Figure("speed, not counted: the host took 30 % of the cores", 1.0, "messages/s"),
    ]
