"""`paceline log archive`: copies closed segments of the log to files, and can delete them from Kafka."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import psycopg
import typer

from paceline.adapters.files.log_archive import LogArchive, Manifest, SegmentWriter
from paceline.adapters.kafka.log_cut import cut_before
from paceline.adapters.kafka.log_scan import Scan, scan
from paceline.adapters.kafka.topics import ENGINE_IN
from paceline.adapters.postgres.operations import readers, snapshots
from paceline.adapters.postgres.operations.snapshots import StoredSnapshot
from paceline.adapters.runtime import terminal
from paceline.adapters.runtime.logs import warnings_to_stderr
from paceline.bootstrap import security_log
from paceline.commands.operating import unix_actor
from paceline.commands.options import AsJson
from paceline.core.errors import InvariantViolation, PermanentError, ValidationError
from paceline.domain.operations.readers import READERS
from paceline.engine import Engine
from paceline.settings import Settings, settings
from paceline.usecases.replay.export_log import lines_of_record

_SEGMENT: Final = 1_000_000


def archive(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Gets a folder shard-N per shard."),
    ],
    *,
    shard: Annotated[int | None, typer.Option(min=0, help="Only this shard; all shards if absent.")] = None,
    segment: Annotated[int, typer.Option(min=1, metavar="N", help="Messages per file.")] = _SEGMENT,
    cut: Annotated[
        bool,
        typer.Option("--cut", help="Then delete from Kafka what is archived and no longer needed there."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before cutting.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write each shard's log, up to the older of its two snapshots, into compressed files with a manifest.

    The next run continues where this one ended. `paceline replay DIR/shard-N` reads and verifies the files.
    Only messages that are archived, older than both snapshots and read by every reader are cut.
    """
    config = settings()
    if shard is not None and shard >= config.engine_shards:
        raise ValidationError(f"There is no shard {shard}: there are {config.engine_shards}, from 0.")
    results: list[dict[str, int | None]] = []
    try:
        for one in range(config.engine_shards) if shard is None else [shard]:
            store = LogArchive(folder / f"shard-{one}")
            manifest, added = asyncio.run(archive_shard(config, one, store, segment))
            results.append(
                {
                    "shard": one,
                    "added": added,
                    "messages": manifest.next_position,
                    "next_offset": manifest.next_offset,
                    "cut_before": None,
                }
            )
            if not as_json:
                typer.echo(
                    f"Shard {one}: {added} messages archived, {manifest.next_position} in all, "
                    f"up to offset {manifest.next_offset - 1}."
                )
            if cut:
                results[-1]["cut_before"] = begin = _cut(config, one, store, yes=yes)
                if not as_json:
                    said = "nothing to cut" if begin is None else f"the log begins at offset {begin} now"
                    typer.echo(f"Shard {one}: {said}.")
    finally:
        # What was done stays done when a later shard fails.
        if as_json:
            terminal.show_json(results)


async def archive_shard(
    config: Settings, shard: int, store: LogArchive, segment: int = _SEGMENT
) -> tuple[Manifest, int]:
    """Archive the messages before the older snapshot; returns the manifest and the number added."""
    manifest = store.manifest() or Manifest(shard=shard)
    if manifest.shard != shard:
        raise PermanentError(f"{store.folder} is the archive of shard {manifest.shard}, not of {shard}.")
    heads = [stored.head for stored in await _stored(config, shard)]
    if not heads:
        return manifest, 0
    older = min(heads, key=lambda head: head.position)
    before = manifest.next_position
    async with scan(config.brokers, ENGINE_IN, shard) as log:
        _check_reach(shard, manifest, (await log.bounds()).begin, older.next_offset)
        manifest = await _archive(log, store, manifest, older.next_offset, segment)
    if manifest.next_offset == older.next_offset and manifest.next_position != older.position:
        raise InvariantViolation(
            f"Shard {shard}: the archive has {manifest.next_position} messages up to offset "
            f"{older.next_offset}, but the engine has {older.position}: it is not the archive of this log."
        )
    return manifest, manifest.next_position - before


async def _archive(log: Scan, store: LogArchive, manifest: Manifest, end: int, segment: int) -> Manifest:
    writer: SegmentWriter | None = None
    wanted = manifest.next_offset
    try:
        async for record in log.records(wanted, end):
            if record.offset != wanted:
                raise InvariantViolation(
                    f"The log has a gap: offset {record.offset} follows offset {wanted - 1}."
                )
            writer = writer or store.begin(manifest.next_position, wanted)
            writer.add(record.offset, lines_of_record(record.value))
            wanted += 1
            if writer.messages >= segment or wanted == end:
                manifest, writer = store.add(manifest, writer.close()), None
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


async def _stored(config: Settings, shard: int) -> Sequence[StoredSnapshot]:
    async with await psycopg.AsyncConnection.connect(config.database_url, connect_timeout=5) as connection:
        return await snapshots.list_whole(connection, shard)


async def _read_before(config: Settings, shard: int) -> dict[str, int]:
    """By reader of `engine.in` the offset of the next record that it needs of this shard, 0 before its first
    start. The engine's is that of its snapshots."""
    async with await psycopg.AsyncConnection.connect(config.database_url, connect_timeout=5) as connection:
        offsets = await readers.offsets(connection, shard)
    return {
        name: offsets.get(name, 0)
        for name, reads in READERS.items()
        if name != "engine" and reads.topic == ENGINE_IN and shard in reads.shards(config.engine_shards)
    }


def _cut(config: Settings, shard: int, store: LogArchive, *, yes: bool) -> int | None:
    offset = asyncio.run(cuttable(config, shard, store))
    if offset is None:
        return None
    if not yes:
        typer.confirm(
            f"Delete the log of shard {shard} before offset {offset} from Kafka? "
            f"After that only {store.folder} has it: keep that folder, and a copy of it elsewhere.",
            abort=True,
            err=True,
        )
    with warnings_to_stderr(), security_log(config) as security:
        security.record(
            "operator_acted", actor=unix_actor(), act="cut_log", about=f"shard {shard}", offset=str(offset)
        )
    return asyncio.run(cut_before(config.brokers, shard, offset))


async def cuttable(config: Settings, shard: int, store: LogArchive) -> int | None:
    """The offset before which the log may be cut; `None` if nothing may be cut.

    Verifies the whole archive and both snapshots, because after the cut they are the only source. What a
    reader has not read yet is not cut.
    """
    manifest = store.manifest()
    if manifest is None:
        return None
    stored = await _stored(config, shard)
    if len(stored) < 2:
        raise PermanentError(f"Shard {shard} must have two complete snapshots. Nothing is cut.")
    offset = min(manifest.next_offset, *(one.head.next_offset for one in stored))
    for reader, read in (await _read_before(config, shard)).items():
        if not read:
            raise PermanentError(
                f"The reader of {reader} must read shard {shard} before it is cut. "
                f"Start `paceline stream {reader}`."
            )
        offset = min(offset, read)
    async with scan(config.brokers, ENGINE_IN, shard) as log:
        if (await log.bounds()).begin >= offset:
            return None
    store.verify(manifest)
    await _check_snapshots(config, stored)
    return offset


async def _check_snapshots(config: Settings, stored: Sequence[StoredSnapshot]) -> None:
    async with await psycopg.AsyncConnection.connect(config.database_url, connect_timeout=5) as connection:
        for one in stored:
            chunks = await snapshots.load_chunks(connection, one.head.shard, one.generation)
            if not chunks:
                raise PermanentError("A snapshot is replaced while it is read. Try again.")
            if Engine.load(chunks).state_hash() != one.head.state_hash:
                raise InvariantViolation(
                    f"The snapshot of shard {one.head.shard} at position {one.head.position} has another "
                    "state hash. Nothing is cut."
                )
