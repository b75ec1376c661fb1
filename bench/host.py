"""What the host takes of a virtual machine's cores: time that passes, and in which nothing here can run."""

from types import TracebackType

import psutil

from bench.figures import Figure


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
