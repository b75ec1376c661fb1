"""Contract of `CutStore`: copies of complete snapshots, positions of the writer and of a day's end."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import psycopg
import pytest

from paceline.adapters.postgres.warehouse.cuts import PostgresCuts
from paceline.core.errors import TransientError
from paceline.core.ids import shard_of
from paceline.core.money import SCALE
from paceline.core.times import SECOND_US, day_bounds_us
from paceline.engine import Engine
from paceline.messages.inbound import Deposit
from paceline.ports.warehouse import Cut, CutStore, Publication, ShardCut, WriterProgress
from tests.support.fakes.store import make_unavailable
from tests.support.fakes.warehouse.warehouse import FakeCuts
from tests.support.servers import as_role
from tests.support.warehouse_rows import ACCOUNTS, SimulatedPlatform

DAY = date(2026, 3, 2)
START_US, END_US = day_bounds_us(DAY)
SHARDS = 2
BARS_AT = 77


@dataclass
class Subject:
    """`platform` has run past the end of the day; `publish` records a publication."""

    cuts: CutStore
    platform: SimulatedPlatform
    publish: Callable[[Publication], None]
    day_ends: dict[int, int]


def two_days(url: str) -> tuple[SimulatedPlatform, dict[int, int]]:
    """Markets and accounts on the day, then two deposits on each shard. The day ends at the first one."""
    platform = SimulatedPlatform(url, SHARDS)
    platform.start(DAY)
    platform.now_us = END_US
    day_ends = {shard: engine.position for shard, engine in enumerate(platform.engines)}
    for shard in range(SHARDS):
        account = next(name for name in ACCOUNTS[:-1] if shard_of(name, SHARDS) == shard)
        for _ in range(2):
            platform.send(Deposit(platform.name(), platform.now_us, account, SCALE))
            platform.now_us += SECOND_US
    return platform, day_ends


def fake() -> Subject:
    platform, day_ends = two_days("")
    cuts = FakeCuts(installed=SHARDS, first_us=START_US + SECOND_US)
    standings = {}
    for shard, engine in enumerate(platform.engines):
        capture = engine.begin_capture()
        cuts.snapshot_chunks[shard] = list(capture.slices(3))
        cuts.snapshots.append(
            ShardCut(shard, capture.position, capture.position, capture.log_time, capture.hash)
        )
        cuts.effects[shard] = [(effect.position, effect.time) for effect in platform.effects[shard]]
        standings[shard] = WriterProgress(capture.position + 1, 1)
    cuts.standings = [standings]
    cuts.bars = [BARS_AT]
    return Subject(cuts, platform, lambda published: setattr(cuts, "newest", published), day_ends)


def postgres(url: str) -> Subject:
    platform, day_ends = two_days(url)
    platform.store()

    def publish(one: Publication) -> None:
        with psycopg.connect(url) as connection:
            connection.execute(
                "insert into ops.publications (run_id, day, cut_id, provisional) values ('run', %s, %s, %s)",
                (one.day, one.cut_id, one.provisional),
            )

    with psycopg.connect(url) as connection:
        connection.execute(
            "insert into engine.installation (shards) values (%s) on conflict do nothing", (SHARDS,)
        )
        connection.execute(
            "insert into engine.readers (reader, shard, next_position, next_offset) "
            "values ('bars', 0, %s, 5), ('bars', 1, 1, 1) on conflict (reader, shard) "
            "do update set next_position = excluded.next_position",
            (BARS_AT,),
        )
        # An incomplete snapshot does not count, even when it is the newest.
        connection.execute(
            "insert into engine.snapshots (shard, generation, position, next_offset, log_time_us, "
            "state_hash, schema_version, code_version, chunks) "
            "values (0, 1, 10000, 0, 0, 'half', 1, 'test', 9)"
        )
    return Subject(PostgresCuts(as_role(url, "nightly")), platform, publish, day_ends)


@pytest.fixture(params=["fake", "postgres"])
def subject(request: pytest.FixtureRequest) -> Subject:
    return fake() if request.param == "fake" else postgres(request.getfixturevalue("fresh_database")())


def cut_from_plain(cut_id: int, shards: list[ShardCut]) -> Cut:
    return Cut(cut_id, DAY, DAY, END_US, False, shards)


@pytest.mark.parametrize("kind", ["fake", "postgres"])
def test_a_new_installation_is_empty(kind: str, request: pytest.FixtureRequest) -> None:
    cuts: CutStore = FakeCuts()
    if kind == "postgres":
        cuts = PostgresCuts(request.getfixturevalue("fresh_database")())
    assert (cuts.shards(), cuts.first_opened_us(), cuts.published()) == (0, None, None)
    assert cuts.writer_progress() == {}
    assert cuts.bars_position() == 0
    assert cuts.copy_snapshots(DAY)[1] == []


def test_shard_count_and_time_of_the_first_account(subject: Subject) -> None:
    assert subject.cuts.shards() == SHARDS
    assert subject.cuts.first_opened_us() == START_US + SECOND_US


def test_published_returns_the_newest_publication(subject: Subject) -> None:
    assert subject.cuts.published() is None
    for published in (Publication(6, date(2026, 3, 1), False), Publication(7, DAY, True)):
        subject.publish(published)
        assert subject.cuts.published() == published


def test_copied_snapshots_load_with_the_same_hash(subject: Subject) -> None:
    cut_id, shards = subject.cuts.copy_snapshots(DAY)
    assert [one.shard for one in shards] == [0, 1]
    for one in shards:
        copied = Engine.load(subject.cuts.chunks(cut_id, one.shard))
        assert (copied.state_hash(), copied.position) == (one.state_hash, one.position)
        assert one.log_time_us >= END_US
    assert subject.cuts.copy_snapshots(DAY)[0] > cut_id


def test_the_writer_is_past_the_snapshots(subject: Subject) -> None:
    _, shards = subject.cuts.copy_snapshots(DAY)
    expected = {one.shard: WriterProgress(one.position + 1, 1) for one in shards}
    assert subject.cuts.writer_progress() == expected


def test_the_position_of_the_bars_is_their_readers_on_shard_0(subject: Subject) -> None:
    assert subject.cuts.bars_position() == BARS_AT


def test_a_finished_cut_has_the_position_of_the_day_end(subject: Subject) -> None:
    cut = cut_from_plain(*subject.cuts.copy_snapshots(DAY))
    finished = subject.cuts.finish(cut)
    assert {one.shard: one.day_end_position for one in finished.shards} == subject.day_ends
    assert all(one.day_end_position < one.position for one in finished.shards)
    assert finished.cut_id == cut.cut_id


def test_a_running_day_ends_at_the_snapshot(subject: Subject) -> None:
    cut_id, shards = subject.cuts.copy_snapshots(date(2026, 3, 3))
    running = Cut(cut_id, date(2026, 3, 3), date(2026, 3, 3), END_US + 1, True, shards)
    assert all(one.day_end_position == one.position for one in subject.cuts.finish(running).shards)


def test_old_copies_are_deleted(subject: Subject) -> None:
    finished = [subject.cuts.finish(cut_from_plain(*subject.cuts.copy_snapshots(DAY))) for _ in range(4)]
    assert subject.cuts.chunks(finished[0].cut_id, 0) == []
    assert subject.cuts.chunks(finished[-1].cut_id, 0)


def test_a_discarded_cut_has_no_chunks(subject: Subject) -> None:
    cut_id, _ = subject.cuts.copy_snapshots(DAY)
    subject.cuts.discard(cut_id)
    assert subject.cuts.chunks(cut_id, 0) == []


@pytest.mark.parametrize("kind", ["fake", "postgres"])
def test_an_unavailable_store_raises_transient_error(kind: str, unreachable_url: str) -> None:
    unavailable: CutStore = make_unavailable(FakeCuts()) if kind == "fake" else PostgresCuts(unreachable_url)
    for ask in (
        unavailable.shards,
        unavailable.first_opened_us,
        unavailable.published,
        unavailable.writer_progress,
        unavailable.bars_position,
        lambda: unavailable.copy_snapshots(DAY),
        lambda: unavailable.finish(cut_from_plain(1, [ShardCut(0, 1, 1, 1, "hash")])),
        lambda: unavailable.discard(1),
        lambda: unavailable.chunks(1, 0),
    ):
        with pytest.raises(TransientError):
            ask()
