"""Contract of the archive's ports: `StoredProgress`, `ShardLog`, `ShardArchive` and `ArchiveSegment`."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from paceline.adapters.files.log_archive import LogArchive
from paceline.adapters.kafka.producer import make_producer
from paceline.adapters.kafka.shard_log import KafkaShardLog
from paceline.adapters.kafka.topics import ENGINE_IN
from paceline.adapters.postgres.operations.progress import PostgresStoredProgress
from paceline.core.connections import KafkaConnection
from paceline.core.errors import InvariantViolation, TransientError
from paceline.domain.operations.archive import Manifest
from paceline.ports.operations import ArchiveSegment, ShardArchive, ShardLog, SnapshotPlace, StoredProgress
from tests.support.fakes.operations.archive import FakeArchive, FakeShardLog, FakeStoredProgress
from tests.support.fakes.store import make_unavailable
from tests.support.log_topics import fresh_topics
from tests.support.servers import as_role

NEWER = SnapshotPlace(1, 9, 5, "b")
OLDER = SnapshotPlace(0, 4, 3, "a")
ROWS = """
insert into engine.snapshots (shard, generation, position, next_offset, log_time_us, state_hash,
    schema_version, code_version, chunks, complete) values
    (0, 0, 4, 3, 1, 'a', 1, 'v', 0, true), (0, 1, 9, 5, 1, 'b', 1, 'v', 2, true),
    (1, 0, 7, 7, 1, 'c', 1, 'v', 0, false);
insert into engine.snapshot_chunks (shard, generation, ordinal, digest, data) values
    (0, 1, 1, 'y', '[2]'), (0, 1, 0, 'x', '[1]');
insert into engine.readers (reader, shard, next_position, next_offset) values
    ('bars', 0, 8, 4), ('bars', 1, 1, 1);
"""


@pytest.fixture(params=["fake", "postgres"])
def progress(request: pytest.FixtureRequest) -> StoredProgress:
    if request.param == "fake":
        return FakeStoredProgress([(NEWER, [b"[1]", b"[2]"]), (OLDER, [])], {"bars": 4})
    url = request.getfixturevalue("fresh_database")()
    with psycopg.connect(url) as connection:
        connection.execute(ROWS)
    return PostgresStoredProgress(as_role(url, "writer"))


async def test_complete_snapshots_come_newest_first(progress: StoredProgress) -> None:
    assert await progress.snapshots(0) == [NEWER, OLDER]


async def test_chunks_come_in_order(progress: StoredProgress) -> None:
    assert await progress.chunks(0, 1) == [b"[1]", b"[2]"]
    assert await progress.chunks(0, 0) == []


async def test_a_reader_has_an_offset_on_each_shard(progress: StoredProgress) -> None:
    assert await progress.reader_offsets(0) == {"bars": 4}


@pytest.mark.parametrize("kind", ["fake", "postgres"])
async def test_unavailable_progress_raises_transient_error(kind: str, unreachable_url: str) -> None:
    unavailable: StoredProgress = make_unavailable(FakeStoredProgress())
    if kind == "postgres":
        unavailable = PostgresStoredProgress(unreachable_url, patience_s=0.1)
    with pytest.raises(TransientError):
        await unavailable.snapshots(0)
    with pytest.raises(TransientError):
        await unavailable.chunks(0, 0)
    with pytest.raises(TransientError):
        await unavailable.reader_offsets(0)


@pytest.fixture(params=["fake", "kafka"])
async def log(request: pytest.FixtureRequest) -> AsyncIterator[ShardLog]:
    values = [b"a", b"b", b"c", b"d"]
    if request.param == "fake":
        yield FakeShardLog(values)
        return
    brokers = request.getfixturevalue("kafka_bootstrap")
    await fresh_topics(brokers, 1)
    producer = make_producer(KafkaConnection(brokers), "test")
    await producer.start()
    for value in values:
        await producer.send_and_wait(ENGINE_IN, value=value, partition=0)
    await producer.stop()
    yield KafkaShardLog(KafkaConnection(brokers), 0)


async def test_the_records_between_two_offsets_come_in_order(log: ShardLog) -> None:
    assert await log.begin() == 0
    found = [(record.offset, record.value) async for record in log.records(1, 3)]
    assert found == [(1, b"b"), (2, b"c")]
    assert [record async for record in log.records(2, 2)] == []


async def test_a_cut_log_begins_at_the_cut(log: ShardLog) -> None:
    assert await log.cut_before(2) == 2
    assert await log.begin() == 2
    assert [record.offset async for record in log.records(2, 4)] == [2, 3]


@dataclass
class Subject:
    """An archive, and a way to damage the first of its segments."""

    archive: ShardArchive
    damage: Callable[[], object]


@pytest.fixture(params=["fake", "files"])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
    if request.param == "fake":
        fake = FakeArchive()
        return Subject(fake, lambda: next(iter(fake.files.values())).pop())

    def cut_short() -> None:
        file = min(tmp_path.glob("*.gz"))
        file.write_bytes(file.read_bytes()[:-20])

    return Subject(LogArchive(tmp_path), cut_short)


def segment_of(archive: ShardArchive, position: int, offset: int) -> ArchiveSegment:
    """A segment of two records, with one and two messages."""
    segment = archive.begin(position, offset)
    segment.add(offset, [b"[1]"])
    segment.add(offset + 1, [b"[2]", b"[3]"])
    return segment


def test_segments_follow_each_other(subject: Subject) -> None:
    archive = subject.archive
    assert archive.manifest() is None
    writer = segment_of(archive, 0, 0)
    assert writer.messages == 3
    manifest = archive.add(Manifest(shard=0), writer.close())
    assert (manifest.next_position, manifest.next_offset) == (3, 2)
    manifest = archive.add(manifest, segment_of(archive, 3, 2).close())
    assert (manifest.next_position, manifest.next_offset) == (6, 4)
    assert archive.manifest() == manifest
    archive.verify(manifest)


def test_an_abandoned_segment_leaves_nothing(subject: Subject) -> None:
    segment_of(subject.archive, 0, 0).abandon()
    assert subject.archive.manifest() is None


def test_a_damaged_segment_is_found(subject: Subject) -> None:
    manifest = subject.archive.add(Manifest(shard=0), segment_of(subject.archive, 0, 0).close())
    subject.damage()
    with pytest.raises(InvariantViolation):
        subject.archive.verify(manifest)


def test_an_archive_has_a_name(subject: Subject) -> None:
    assert subject.archive.name
