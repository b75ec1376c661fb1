"""Taking a cut: it waits for the writer and refuses incomplete data."""

from datetime import date

import pendulum
import pytest

from paceline.core.errors import NotFoundError, TransientError
from paceline.core.times import day_bounds_us
from paceline.ports.warehouse import Cut, Publication, ShardCut, WriterProgress
from paceline.usecases.warehouse.nightly import day_of_run
from paceline.usecases.warehouse.take_cut import take_cut
from tests.support.fakes.warehouse.warehouse import FakeCuts, FakeLogEnds

DAY = date(2026, 3, 2)
START_US, END_US = day_bounds_us(DAY)


def snapshot(shard: int, position: int = 100, log_time_us: int = END_US + 1) -> ShardCut:
    return ShardCut(shard, position, position, log_time_us, "hash")


PAST = {0: WriterProgress(200, 9), 1: WriterProgress(200, 9)}
BOTH = [snapshot(0), snapshot(1)]


def cuts_of(
    snapshots: list[ShardCut],
    *standings: dict[int, WriterProgress],
    newest: Publication | None = None,
    installed: int = 2,
    first_us: int | None = 0,
    bars: tuple[int, ...] = (200,),
) -> FakeCuts:
    return FakeCuts(list(snapshots), list(standings), list(bars), newest, installed, first_us)


def never() -> dict[int, int]:
    raise AssertionError("the log's end need not be known")


def take(cuts: FakeCuts, *, running: bool = False, ends: object = never, day: date = DAY) -> Cut:
    return take_cut(cuts, ends, day, allow_running=running, patience_s=2, sleep=lambda _: None)  # type: ignore[arg-type]


def test_a_writer_past_the_snapshots_is_not_awaited() -> None:
    cut = take(cuts_of(BOTH, PAST))
    assert (cut.as_of_day, cut.as_of_end_us, cut.provisional) == (DAY, END_US, False)


def test_the_writer_is_awaited() -> None:
    behind = {0: WriterProgress(99, 3), 1: WriterProgress(200, 9)}
    cuts = cuts_of(BOTH, behind, behind, PAST)
    assert take(cuts, ends=FakeLogEnds({0: 5, 1: 9})).cut_id == 1
    assert len(cuts.standings) == 1


def test_an_idle_shard_counts_as_stored_when_its_log_is_read_to_the_end() -> None:
    idle = {
        1: WriterProgress(200, 9)
    }  # shard 0 never had an effect: no record on engine.out, no row of the writer
    assert take(cuts_of(BOTH, idle), ends=FakeLogEnds({0: 0, 1: 9})).shards[0].shard == 0


def test_waiting_for_the_writer_is_bounded() -> None:
    cuts = cuts_of(BOTH, {0: WriterProgress(10, 1), 1: WriterProgress(200, 9)})
    with pytest.raises(TransientError, match=r"shards \[0\].*Check that it runs"):
        take(cuts, ends=FakeLogEnds({0: 5, 1: 9}))
    assert cuts.discarded == [1]


def test_the_bars_are_awaited() -> None:
    cuts = cuts_of(BOTH, PAST, bars=(0, 99, 100, 7))
    assert take(cuts).cut_id == 1
    assert cuts.bars == [7]


def test_bars_that_do_not_come_are_not_awaited_for_ever() -> None:
    cuts = cuts_of(BOTH, PAST, bars=(99,))
    with pytest.raises(TransientError, match="99 of shard 0, before the snapshot at 100, after 2 s"):
        take(cuts)
    assert cuts.discarded == [1]


@pytest.mark.parametrize(
    ("cuts", "running", "words"),
    [
        (cuts_of([], PAST, installed=0), False, "never run"),
        (cuts_of([snapshot(1)], PAST), False, r"The shards \[0\] have no snapshot yet"),
        (
            cuts_of([snapshot(0), snapshot(1, log_time_us=END_US - 1)], PAST),
            False,
            r"not ended .* shards \[1\]",
        ),
        (
            cuts_of([snapshot(0), snapshot(1, log_time_us=START_US - 1)], PAST),
            True,
            r"not begun .* shards \[1\]",
        ),
    ],
)
def test_missing_data_is_reported(cuts: FakeCuts, running: bool, words: str) -> None:
    with pytest.raises(TransientError, match=words):
        take(cuts, running=running)


def test_a_running_day_is_provisional_and_ends_at_the_snapshot() -> None:
    halves = [snapshot(0, log_time_us=START_US + 10), snapshot(1, log_time_us=START_US + 20)]
    cut = take(cuts_of(halves, PAST), running=True)
    assert (cut.provisional, cut.as_of_end_us) == (True, START_US + 21)


def test_an_ended_day_is_final_even_if_a_running_day_is_allowed() -> None:
    assert take(cuts_of(BOTH, PAST), running=True).provisional is False


def test_an_older_day_does_not_replace_a_newer_one() -> None:
    newer = Publication(6, date(2026, 3, 5), False)
    late = [
        snapshot(0, log_time_us=day_bounds_us(newer.day)[1]),
        snapshot(1, log_time_us=day_bounds_us(newer.day)[1]),
    ]
    cut = take(cuts_of(late, PAST, newest=newer))
    assert (cut.day, cut.as_of_day) == (DAY, newer.day)


def test_the_default_day_of_a_run() -> None:
    from datetime import UTC, datetime

    due = datetime(2026, 3, 3, 0, 10, tzinfo=UTC)
    assert day_of_run({"day": None, "provisional": False}, due) == DAY
    assert day_of_run({"day": None, "provisional": True}, due) == date(2026, 3, 3)
    assert day_of_run({"day": "2026-02-01", "provisional": True}, due) == date(2026, 2, 1)
    assert type(day_of_run({}, pendulum.instance(due))) is date


@pytest.mark.parametrize("first_us", [None, END_US])
def test_a_day_before_the_first_account_has_nothing_to_rank(first_us: int | None) -> None:
    cuts = cuts_of(BOTH, PAST, first_us=first_us)
    with pytest.raises(NotFoundError, match="nothing to rank"):
        take(cuts)
    assert cuts.discarded == [1]
