"""`paceline log archive`: copies closed segments of the log to files, and can delete them from Kafka."""

import asyncio
from pathlib import Path
from typing import Annotated, Final

import typer

from paceline.adapters.files.log_archive import LogArchive
from paceline.adapters.kafka.shard_log import KafkaShardLog
from paceline.adapters.postgres.operations.progress import PostgresStoredProgress
from paceline.adapters.runtime import terminal
from paceline.adapters.runtime.logs import warnings_to_stderr
from paceline.bootstrap.security import security_log
from paceline.commands.operating import unix_actor
from paceline.commands.options import AsJson
from paceline.core.errors import ValidationError
from paceline.ports.operations import ShardLog, StoredProgress
from paceline.settings import settings
from paceline.usecases.replay.archive_log import archive_shard, cuttable

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
    stored = PostgresStoredProgress(config.database_url_of("writer"))
    results: list[dict[str, int | None]] = []
    try:
        for one in range(config.engine_shards) if shard is None else [shard]:
            store, log = LogArchive(folder / f"shard-{one}"), KafkaShardLog(config.kafka, one)
            manifest, added = asyncio.run(archive_shard(log, stored, store, one, segment))
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
                results[-1]["cut_before"] = begin = _cut(
                    log, stored, store, one, config.engine_shards, yes=yes
                )
                if not as_json:
                    said = "nothing to cut" if begin is None else f"the log begins at offset {begin} now"
                    typer.echo(f"Shard {one}: {said}.")
    finally:
        # What was done stays done when a later shard fails.
        if as_json:
            terminal.show_json(results)


def _cut(
    log: ShardLog, stored: StoredProgress, store: LogArchive, shard: int, shards: int, *, yes: bool
) -> int | None:
    offset = asyncio.run(cuttable(log, stored, store, shard, shards))
    if offset is None:
        return None
    if not yes:
        typer.confirm(
            f"Delete the log of shard {shard} before offset {offset} from Kafka? "
            f"After that only {store.folder} has it: keep that folder, and a copy of it elsewhere.",
            abort=True,
            err=True,
        )
    with warnings_to_stderr(), security_log(settings()) as security:
        security.record(
            "operator_acted", actor=unix_actor(), act="cut_log", about=f"shard {shard}", offset=str(offset)
        )
    return asyncio.run(log.cut_before(offset))
