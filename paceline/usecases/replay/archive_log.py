"""Archiving a shard's log, and what may then be cut from Kafka."""

from collections.abc import Mapping, Sequence

from paceline.core.errors import InvariantViolation, PermanentError
from paceline.domain.operations.archive import Manifest
from paceline.domain.operations.readers import READERS
from paceline.engine import Engine
from paceline.ports.operations import ArchiveSegment, ShardArchive, ShardLog, SnapshotPlace, StoredProgress
from paceline.usecases.replay.export_log import lines_of_record


async def archive_shard(
    log: ShardLog, stored: StoredProgress, archive: ShardArchive, shard: int, segment: int
) -> tuple[Manifest, int]:
    """Archive the messages before the older snapshot, `segment` messages a file; returns the manifest and the
    number added."""
    manifest = archive.manifest() or Manifest(shard=shard)
    if manifest.shard != shard:
        raise PermanentError(f"{archive.name} is the archive of shard {manifest.shard}, not of {shard}.")
    snapshots = await stored.snapshots(shard)
    if not snapshots:
        return manifest, 0
    older = min(snapshots, key=lambda one: one.position)
    before = manifest.next_position
    _check_reach(shard, manifest, await log.begin(), older.next_offset)
    manifest = await _archive(log, archive, manifest, older.next_offset, segment)
    if manifest.next_offset == older.next_offset and manifest.next_position != older.position:
        raise InvariantViolation(
            f"Shard {shard}: the archive has {manifest.next_position} messages up to offset "
            f"{older.next_offset}, but the engine has {older.position}: it is not the archive of this log."
        )
    return manifest, manifest.next_position - before


async def _archive(
    log: ShardLog, archive: ShardArchive, manifest: Manifest, end: int, segment: int
) -> Manifest:
    writer: ArchiveSegment | None = None
    wanted = manifest.next_offset
    try:
        async for record in log.records(wanted, end):
            if record.offset != wanted:
                raise InvariantViolation(
                    f"The log has a gap: offset {record.offset} follows offset {wanted - 1}."
                )
            writer = writer or archive.begin(manifest.next_position, wanted)
            writer.add(record.offset, lines_of_record(record.value))
            wanted += 1
            if writer.messages >= segment or wanted == end:
                manifest, writer = archive.add(manifest, writer.close()), None
    finally:
        if writer is not None:
            writer.abandon()
    return manifest


def _check_reach(shard: int, manifest: Manifest, begin: int, end: int) -> None:
    if manifest.next_offset < min(begin, end):
        raise PermanentError(
            f"Shard {shard}: the archive ends before offset {manifest.next_offset}, but the log begins at "
            f"{begin}: the messages between are cut and not in this archive. Use the folder that has them."
        )


async def cuttable(
    log: ShardLog, stored: StoredProgress, archive: ShardArchive, shard: int, shards: int
) -> int | None:
    """The offset before which the log may be cut; `None` if nothing may be cut.

    Verifies the whole archive and both snapshots, because after the cut they are the only source. What a
    reader has not read yet is not cut. `shards` is the number of shards of the installation.
    """
    manifest = archive.manifest()
    if manifest is None:
        return None
    snapshots = await stored.snapshots(shard)
    if len(snapshots) < 2:
        raise PermanentError(f"Shard {shard} must have two complete snapshots. Nothing is cut.")
    offset = min(manifest.next_offset, *(one.next_offset for one in snapshots))
    for reader, read in _read_before(await stored.reader_offsets(shard), shard, shards).items():
        if not read:
            raise PermanentError(
                f"The reader of {reader} must read shard {shard} before it is cut. "
                f"Start `paceline stream {reader}`."
            )
        offset = min(offset, read)
    if await log.begin() >= offset:
        return None
    archive.verify(manifest)
    await _check_snapshots(stored, shard, snapshots)
    return offset


def _read_before(offsets: Mapping[str, int], shard: int, shards: int) -> dict[str, int]:
    """By reader of `engine.in` the offset of the next record that it needs of this shard, 0 before its first
    start. The engine's is that of its snapshots."""
    topic = READERS["engine"].topic
    return {
        name: offsets.get(name, 0)
        for name, reads in READERS.items()
        if name != "engine" and reads.topic == topic and shard in reads.shards(shards)
    }


async def _check_snapshots(stored: StoredProgress, shard: int, snapshots: Sequence[SnapshotPlace]) -> None:
    for one in snapshots:
        chunks = await stored.chunks(shard, one.generation)
        if not chunks:
            raise PermanentError("A snapshot is replaced while it is read. Try again.")
        if Engine.load(chunks).state_hash() != one.state_hash:
            raise InvariantViolation(
                f"The snapshot of shard {shard} at position {one.position} has another "
                "state hash. Nothing is cut."
            )
