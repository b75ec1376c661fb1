"""Finds problems in observations. Pure, except that it remembers when each reader last moved."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from paceline.domain.operations.readers import READERS

Kind = Literal["position", "price", "snapshot"]


class WatchProblem(Struct, frozen=True):
    """A problem. `key` names its cause and begins with its kind."""

    key: str
    severity: Literal["warning", "critical"]
    message: str


class WatchLimits(Struct, frozen=True):
    stuck_s: float
    price_s: float
    snapshot_s: float


class Observation(Struct, frozen=True):
    """Values read at one moment; `None` for those that cannot be read.

    `offsets`: reader → shard → offset of the record it needs next. `ends`: reader → shard → offset after the
    last record of its log. `price_ages_s`: ages for all markets that should have prices, `None` for one that
    never had any; likewise `snapshot_ages_s` for all shards.
    """

    now_s: float
    offsets: Mapping[str, Mapping[int, int]] | None
    ends: Mapping[str, Mapping[int, int]] | None
    price_ages_s: Mapping[str, float | None] | None
    snapshot_ages_s: Mapping[int, float | None] | None


class Watch:
    """Remembers when each reader last moved, and when the watch began."""

    def __init__(self, limits: WatchLimits, began_s: float) -> None:
        self._limits = limits
        self._began_s = began_s
        self._last_moves: dict[tuple[str, int], tuple[int | None, float]] = {}

    def look(self, observation: Observation) -> tuple[list[WatchProblem], set[str]]:
        """All present troubles, and the kinds that could be checked; the state of the others is unknown."""
        troubles: list[WatchProblem] = []
        seen: set[str] = set()
        if observation.offsets is not None and observation.ends is not None:
            seen.add("position")
            troubles += self._positions(observation.now_s, observation.offsets, observation.ends)
        if observation.price_ages_s is not None:
            seen.add("price")
            troubles += self._prices(observation.now_s, observation.price_ages_s)
        if observation.snapshot_ages_s is not None:
            seen.add("snapshot")
            troubles += self._snapshots(observation.now_s, observation.snapshot_ages_s)
        return troubles, seen

    def _positions(
        self, now_s: float, offsets: Mapping[str, Mapping[int, int]], ends: Mapping[str, Mapping[int, int]]
    ) -> list[WatchProblem]:
        troubles = []
        for reader in READERS:
            for shard, end in ends[reader].items():
                offset = offsets.get(reader, {}).get(shard)
                before = self._last_moves.get((reader, shard))
                at_the_end = offset is not None and offset >= end
                moved = before is not None and offset is not None and offset != before[0]
                if before is None or moved or at_the_end:
                    self._last_moves[reader, shard] = (offset, now_s)
                    continue
                if now_s - before[1] >= self._limits.stuck_s:
                    troubles.append(_stuck(reader, shard, offset, end, now_s - before[1]))
        return troubles

    def _prices(self, now_s: float, ages_s: Mapping[str, float | None]) -> list[WatchProblem]:
        limit_s = self._limits.price_s
        troubles = []
        for symbol, known_s in ages_s.items():
            age_s = now_s - self._began_s if known_s is None else known_s
            if age_s >= limit_s:
                since = f"none for {age_s:.0f} s" if known_s is not None else "none yet"
                text = (
                    f"{symbol} has no prices ({since}): its orders are refused as stale. Is the feed healthy?"
                )
                troubles.append(WatchProblem(f"price:{symbol}", "critical", text))
        return troubles

    def _snapshots(self, now_s: float, ages_s: Mapping[int, float | None]) -> list[WatchProblem]:
        troubles = []
        for shard, known_s in ages_s.items():
            age_s = now_s - self._began_s if known_s is None else known_s
            if age_s >= self._limits.snapshot_s:
                since = f"is {age_s:.0f} s old" if known_s is not None else "was never stored"
                text = f"The snapshot of shard {shard} {since}: a restart replays the log after it."
                troubles.append(WatchProblem(f"snapshot:{shard}", "warning", text))
        return troubles


def _stuck(reader: str, shard: int, offset: int | None, end: int, for_s: float) -> WatchProblem:
    if offset is None:
        text = f"No {reader} has read shard {shard} for {for_s:.0f} s. Does its process run?"
    else:
        text = (
            f"The {reader} has been at offset {offset} of shard {shard} for {for_s:.0f} s, "
            f"with {end - offset} records to read."
        )
    return WatchProblem(f"position:{reader}:{shard}", "critical", text)
