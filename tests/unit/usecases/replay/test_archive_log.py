"""Archiving and cutting a shard's log, on stand-ins; the real servers are in the integration tests."""

import pytest

from paceline.core.errors import InvariantViolation, PermanentError
from paceline.engine import Engine
from paceline.messages.inbound import OpenAccount
from paceline.messages.log_form import encode_messages
from paceline.ports.operations import SnapshotPlace
from paceline.usecases.replay.archive_log import archive_shard, cuttable
from tests.support.fakes.operations.archive import FakeArchive, FakeShardLog, FakeStoredProgress

MESSAGES = [OpenAccount(f"i{number}", 1, f"account-{number}", 5) for number in range(10)]


def snapshot(generation: int, position: int) -> tuple[SnapshotPlace, list[bytes]]:
    """The engine's snapshot after `position` messages of a log with one message per record."""
    engine = Engine(0)
    engine.apply_batch(MESSAGES[:position])
    return SnapshotPlace(generation, position, position, engine.state_hash()), list(engine.dump_slices())


class Shard:
    def __init__(self, *snapshots: tuple[SnapshotPlace, list[bytes]], bars: int = 10) -> None:
        self.log = FakeShardLog([encode_messages([message]) for message in MESSAGES])
        self.stored = FakeStoredProgress(list(snapshots), {"bars": bars} if bars else {})
        self.archive = FakeArchive()

    async def archived(self, segment: int = 3) -> tuple[int, int]:
        """The messages in the archive, and how many of them were added."""
        manifest, added = await archive_shard(self.log, self.stored, self.archive, 0, segment)
        return manifest.next_position, added

    async def cuttable(self) -> int | None:
        return await cuttable(self.log, self.stored, self.archive, 0, 1)


async def test_the_log_before_the_older_snapshot_is_archived_in_segments() -> None:
    shard = Shard(snapshot(1, 9), snapshot(0, 7))
    assert await shard.archived() == (7, 7)
    assert list(shard.archive.files) == ["0-2", "3-5", "6-6"]
    assert await shard.archived() == (7, 0)


async def test_without_a_snapshot_nothing_is_archived() -> None:
    assert await Shard().archived() == (0, 0)


async def test_the_archive_of_another_shard_is_refused() -> None:
    shard = Shard(snapshot(0, 7))
    await shard.archived()
    with pytest.raises(PermanentError, match="is the archive of shard 0, not of 1"):
        await archive_shard(shard.log, shard.stored, shard.archive, 1, 3)


async def test_an_archive_of_another_log_is_found() -> None:
    place, chunks = snapshot(0, 7)
    shard = Shard((SnapshotPlace(0, 6, place.next_offset, place.state_hash), chunks))
    with pytest.raises(InvariantViolation, match="it is not the archive of this log"):
        await shard.archived()


async def test_a_log_that_begins_after_the_archive_is_refused() -> None:
    shard = Shard(snapshot(0, 7))
    await shard.log.cut_before(5)
    with pytest.raises(PermanentError, match="the log begins at 5"):
        await shard.archived()


async def test_what_is_archived_and_older_than_both_snapshots_may_be_cut() -> None:
    shard = Shard(snapshot(1, 9), snapshot(0, 7))
    assert await shard.cuttable() is None
    await shard.archived()
    assert await shard.cuttable() == 7
    await shard.log.cut_before(7)
    assert await shard.cuttable() is None


async def test_what_a_reader_has_not_read_is_not_cut() -> None:
    shard = Shard(snapshot(1, 9), snapshot(0, 7), bars=4)
    await shard.archived()
    assert await shard.cuttable() == 4
    never = Shard(snapshot(1, 9), snapshot(0, 7), bars=0)
    await never.archived()
    with pytest.raises(PermanentError, match="The reader of bars must read shard 0"):
        await never.cuttable()


async def test_one_snapshot_or_a_wrong_one_forbids_a_cut() -> None:
    one = Shard(snapshot(0, 7))
    await one.archived()
    with pytest.raises(PermanentError, match="must have two complete snapshots"):
        await one.cuttable()
    place, _ = snapshot(1, 9)
    wrong = Shard((place, snapshot(1, 8)[1]), snapshot(0, 7))
    await wrong.archived()
    with pytest.raises(InvariantViolation, match="has another state hash"):
        await wrong.cuttable()
    replaced = Shard((place, []), snapshot(0, 7))
    await replaced.archived()
    with pytest.raises(PermanentError, match="is replaced while it is read"):
        await replaced.cuttable()


async def test_a_damaged_archive_forbids_a_cut() -> None:
    shard = Shard(snapshot(1, 9), snapshot(0, 7))
    await shard.archived()
    shard.archive.files["0-2"].pop()
    with pytest.raises(InvariantViolation):
        await shard.cuttable()
