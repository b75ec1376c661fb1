"""What the host took while something ran, of counters as the kernel gives them."""

from collections import namedtuple

import psutil
import pytest

from bench.host import Taken

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
def test_the_share_that_the_host_took(
    monkeypatch: pytest.MonkeyPatch, before: tuple[float, ...], after: tuple[float, ...], percent: float
) -> None:
    counters = iter([before, after])
    monkeypatch.setattr(psutil, "cpu_times", lambda: next(counters))
    with Taken() as taken:
        pass
    assert taken.percent == pytest.approx(percent)
    assert taken.figure("core").name == "core: taken by the host"
