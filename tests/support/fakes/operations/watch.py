"""The watchdog's ports, in memory."""

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field

from paceline.domain.operations.watch import WatchProblem
from paceline.ports.operations import AlertChanges, StoredState
from tests.support.fakes.store import FakeStore


@dataclass
class FakeWatchStore(FakeStore):
    """`open` are the open alerts' messages by key."""

    stored: StoredState = field(default_factory=lambda: StoredState(frozenset(), {}))
    open: dict[str, str] = field(default_factory=dict)

    async def state(self) -> StoredState:
        self._check_available()
        return self.stored

    async def update_alerts(self, problems: Sequence[WatchProblem], kinds: Set[str]) -> AlertChanges:
        self._check_available()
        present = {one.key: one.message for one in problems}
        opened = [key for key in present if key not in self.open]
        ended = sorted(key for key in self.open if key not in present and key.partition(":")[0] in kinds)
        self.open |= {key: present[key] for key in opened}
        for key in ended:
            del self.open[key]
        return AlertChanges(opened, ended)

    async def close(self) -> None: ...


@dataclass
class FakeLiveSigns(FakeStore):
    """`beats`: reader → for each instance, shard → offset."""

    beats: dict[str, list[dict[int, int]]] = field(default_factory=dict)
    times_us: dict[str, int] = field(default_factory=dict)

    async def offsets(self, reader: str) -> dict[int, int]:
        self._check_available()
        found: dict[int, int] = {}
        for beat in self.beats.get(reader, []):
            for shard, offset in beat.items():
                found[shard] = max(offset, found.get(shard, 0))
        return found

    async def price_times_us(self, symbols: Iterable[str]) -> dict[str, int | None]:
        self._check_available()
        return {symbol: self.times_us.get(symbol) for symbol in symbols}

    async def close(self) -> None: ...


@dataclass
class FakeLogEndsByTopic(FakeStore):
    by_topic: dict[str, dict[int, int]] = field(default_factory=dict)

    async def ends(self) -> dict[str, dict[int, int]]:
        self._check_available()
        return self.by_topic

    async def stop(self) -> None: ...
