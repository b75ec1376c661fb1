"""The conditions under which the watchdog reports trouble."""

from typing import Any

from msgspec.structs import replace

from paceline.domain.operations.readers import READERS
from paceline.domain.operations.watch import Observation, Watch, WatchLimits

LIMITS = WatchLimits(stuck_s=10, price_s=30, snapshot_s=60)
ENDS = {reader: {0: 100} for reader in READERS}


def offsets(**at: int) -> dict[str, dict[int, int]]:
    return {reader: {0: at.get(reader, 100)} for reader in READERS}


HEALTHY = Observation(
    now_s=0.0,
    offsets=offsets(),
    ends=ENDS,
    price_ages_s={"BTC": 1.0},
    snapshot_ages_s={0: 5.0},
)


def keys(watch: Watch, now_s: float, **changes: Any) -> list[str]:
    return [trouble.key for trouble in watch.look(replace(HEALTHY, now_s=now_s, **changes))[0]]


def test_a_healthy_system_has_no_trouble() -> None:
    watch = Watch(LIMITS, 0)
    for now_s in (0, 100, 10_000):
        assert watch.look(replace(HEALTHY, now_s=now_s)) == ([], {"position", "price", "snapshot"})


def test_a_reader_without_progress_is_stuck_after_the_limit() -> None:
    watch = Watch(LIMITS, 0)
    behind = offsets(engine=40)
    assert keys(watch, 0, offsets=behind) == []
    assert keys(watch, 9.9, offsets=behind) == []
    [trouble] = watch.look(replace(HEALTHY, now_s=10.0, offsets=behind))[0]
    assert (trouble.key, trouble.severity) == ("position:engine:0", "critical")
    assert "offset 40 of shard 0 for 10 s, with 60 records to read" in trouble.message
    assert keys(watch, 11, offsets=offsets(engine=41)) == []


def test_a_reader_that_moves_slowly_is_not_stuck() -> None:
    watch = Watch(LIMITS, 0)
    for now_s in range(0, 100, 9):
        assert keys(watch, now_s, offsets=offsets(writer=now_s)) == []


def test_an_idle_log_is_no_trouble_and_waiting_starts_with_the_first_record() -> None:
    watch = Watch(LIMITS, 0)
    assert keys(watch, 0) == []
    assert keys(watch, 500) == []
    longer = {reader: {0: 101} for reader in READERS}
    assert keys(watch, 501, ends=longer) == []
    assert len(keys(watch, 511, ends=longer)) == len(READERS)


def test_a_shard_without_a_reader_is_reported() -> None:
    watch = Watch(LIMITS, 0)
    alone = offsets() | {"router": {}}
    assert keys(watch, 0, offsets=alone) == []
    assert keys(watch, 10, offsets=alone) == ["position:router:0"]
    assert keys(watch, 12) == []


def test_a_vanished_reader_counts_from_its_last_progress() -> None:
    watch = Watch(LIMITS, 0)
    assert keys(watch, 0, offsets=offsets(engine=40)) == []
    assert keys(watch, 6, offsets=offsets() | {"engine": {}}) == []
    assert keys(watch, 10, offsets=offsets() | {"engine": {}}) == ["position:engine:0"]
    assert keys(watch, 12, offsets=offsets(engine=41)) == []


def test_old_and_missing_prices_are_reported() -> None:
    watch = Watch(LIMITS, 0)
    assert keys(watch, 5, price_ages_s={"BTC": 29.9, "ETH": None}) == []
    assert keys(watch, 30, price_ages_s={"BTC": 30.0, "ETH": None}) == ["price:BTC", "price:ETH"]


def test_old_and_missing_snapshots_are_reported() -> None:
    watch = Watch(LIMITS, 0)
    assert keys(watch, 5, snapshot_ages_s={0: 59.0, 1: None}) == []
    assert keys(watch, 60, snapshot_ages_s={0: 61.0, 1: None}) == ["snapshot:0", "snapshot:1"]


def test_an_unavailable_source_gives_no_result() -> None:
    watch = Watch(LIMITS, 0)
    blind = Observation(now_s=99.0, offsets=None, ends=ENDS, price_ages_s=None, snapshot_ages_s={0: 1.0})
    assert watch.look(blind) == ([], {"snapshot"})
