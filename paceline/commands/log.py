"""`paceline log`: export and archive the log."""

import asyncio
import gzip
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Annotated, Final, cast

import typer

from paceline.adapters.files.log_archive import LogArchive
from paceline.adapters.runtime import terminal
from paceline.commands.log_archive import archive
from paceline.commands.options import AsJson
from paceline.core.errors import PermanentError, ValidationError
from paceline.settings import Settings, settings

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Export and archive the log.")

app.command(epilog="Example: paceline log archive /backup/log --cut")(archive)

_PROGRESS_EVERY_S: Final = 2.0


@app.callback()
def log() -> None:
    """Export and archive the log."""


@app.command(epilog="Example: paceline log export --shard 0 shard-0.jsonl.gz")
def export(
    file: Annotated[Path, typer.Argument(help="File to write; compressed if its name ends in .gz.")],
    shard: Annotated[int, typer.Option(min=0, help="Shard of the log.")] = 0,
    until_position: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Only the first N messages.")
    ] = None,
    archive: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Folder of `log archive`, for messages that were cut from Kafka."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a shard's log as JSON lines, for `paceline replay`. Line n is the message at position n − 1.

    An undecodable message becomes a line that does not decode either, so that positions do not change.
    """
    messages = asyncio.run(_export(settings(), shard, file, until_position, archive))
    if as_json:
        terminal.show_json({"shard": shard, "messages": messages, "file": str(file)})
    else:
        typer.echo(f"Wrote {messages} messages of shard {shard} to {file}.")


async def _export(config: Settings, shard: int, file: Path, until: int | None, archive: Path | None) -> int:
    if shard >= config.engine_shards:
        raise ValidationError(f"Shard {shard} does not exist. Use 0 to {config.engine_shards - 1}.")
    # The file has another name until it is complete, so that a file with the final name is complete.
    part = file.with_name(f"{file.name}.part")
    count = 0
    reported_s = time.monotonic()
    with _opened(part, compressed=file.suffix == ".gz") as out:
        async for line in _lines(config, shard, archive):
            if count == until:
                break
            out.write(line + b"\n")
            count += 1
            if time.monotonic() - reported_s > _PROGRESS_EVERY_S:
                typer.echo(f"{count} messages …", err=True)
                reported_s = time.monotonic()
    part.replace(file)
    if until is not None and count < until:
        raise PermanentError(f"Shard {shard} has only {count} messages; {file} has them all.")
    return count


def _opened(path: Path, compressed: bool) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "wb")) if compressed else path.open("wb")


async def _lines(config: Settings, shard: int, archive: Path | None) -> AsyncIterator[bytes]:
    from paceline.adapters.kafka.log_scan import scan
    from paceline.adapters.kafka.topics import ENGINE_IN
    from paceline.usecases.replay.export_log import lines_of_record

    async with scan(config.kafka, ENGINE_IN, shard) as log_of_shard:
        bounds = await log_of_shard.bounds()
        begin = 0
        if archive is not None:
            store = LogArchive(archive / f"shard-{shard}")
            manifest = store.manifest()
            if manifest is not None:
                begin = manifest.next_offset
                for line in store.lines(manifest):
                    yield line
        if bounds.begin > begin:
            raise PermanentError(
                f"The log of shard {shard} begins at offset {bounds.begin}, not at {begin}: its start is cut "
                "and the positions of the rest would be wrong. Give the archive's folder with --archive."
            )
        async for record in log_of_shard.records(begin, bounds.end):
            for line in lines_of_record(record.value):
                yield line
