"""`paceline replay`: apply messages from files to the engine, without a server."""

import gzip
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated

import msgspec
import typer

from paceline.adapters.files.log_archive import LogArchive
from paceline.adapters.runtime import terminal
from paceline.commands.options import AsJson
from paceline.core.times import to_datetime
from paceline.engine import Engine
from paceline.messages.json_form import encode_line, output_to_json
from paceline.messages.outbound import Outbound
from paceline.usecases.replay.explain import Explainer
from paceline.usecases.replay.replay import Counts, Format, Report, merged, timed_messages
from paceline.usecases.replay.replay import replay as replay_messages

_PROGRESS_EVERY_S = 2.0


class FileFormat(StrEnum):
    jsonl = "jsonl"
    binance = "binance"
    backpack = "backpack"


def replay(
    *,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE…", help="Messages, frames, or an archive's folder; gz allowed.", show_default=False
        ),
    ],
    format_: Annotated[
        FileFormat | None,
        typer.Option("--format", help="Format of files whose lines do not show it."),
    ] = None,
    symbol: Annotated[
        list[str] | None,
        typer.Option(metavar="FROM=TO", help="Rename a recorded symbol to one of ours. Repeatable."),
    ] = None,
    shard: Annotated[
        int | None,
        typer.Option(min=0, help="Shard in the ids of the outputs; by default the archive's, or 0."),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the outputs as JSON lines.")] = None,
    at: Annotated[int | None, typer.Option(min=0, metavar="N", help="Stop after N messages.")] = None,
    explain: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="Describe what happened to a trade, an order or an instruction, and why."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Apply messages to the engine, without a server, and print the engine's state.

    FILE is JSON lines with one message per line, or recorded frames (BINANCE, BACKPACK) whose bookTickers
    become price updates, or the folder of a shard's archive, which is verified. Several files are merged by
    time; at equal times, in the order of the files.
    """
    symbols = _symbols(symbol or [])
    wanted: Format | None = format_.value if format_ else None
    counts, explainer = Counts(), Explainer(explain) if explain else None
    began = time.perf_counter()
    with ExitStack() as stack:
        sources = [timed_messages(_lines(stack, path), wanted, symbols, counts) for path in _existing(files)]
        report = replay_messages(
            Engine(_shard(files, shard)),
            merged(sources),
            put=_writer(stack, out),
            explainer=explainer,
            progress=_Progress(began),
            at=at,
        )
    elapsed_s = time.perf_counter() - began
    if as_json:
        _print_json(report, counts, elapsed_s, explainer)
    else:
        _print_report(report, counts, elapsed_s, explainer)


def _symbols(pairs: list[str]) -> dict[str, str]:
    renamed = {}
    for pair in pairs:
        recorded, separator, ours = pair.partition("=")
        if not (recorded and separator and ours):
            raise typer.BadParameter(f"{pair!r} must have the form FROM=TO", param_hint="--symbol")
        renamed[recorded] = ours
    return renamed


def _existing(files: list[Path]) -> list[Path]:
    for path in files:
        if not path.is_file() and LogArchive(path).manifest() is None:
            raise typer.BadParameter(f"the file {path} does not exist", param_hint="FILE")
    return files


def _shard(files: list[Path], wanted: int | None) -> int:
    """The given shard, or that of the first archive, or 0. It is part of the state hash."""
    manifests = [LogArchive(path).manifest() for path in files if path.is_dir()]
    of_archives = [manifest.shard for manifest in manifests if manifest is not None]
    return wanted if wanted is not None else (of_archives or [0])[0]


def _lines(stack: ExitStack, path: Path) -> Iterator[bytes]:
    """The lines of a file, decompressed if it is a gzip file; or the verified lines of an archive."""
    manifest = LogArchive(path).manifest() if path.is_dir() else None
    if manifest is not None:
        yield from LogArchive(path).lines(manifest)
        return
    try:
        raw = stack.enter_context(path.open("rb"))
        is_gzip = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if is_gzip:
            with gzip.open(raw) as decompressed:
                yield from decompressed
        else:
            yield from raw
    except (OSError, EOFError) as error:
        typer.echo(f"{path} cannot be read to its end: {error}", err=True)
        raise typer.Exit(1) from error


class _OutputWriter:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __call__(self, output: Outbound) -> None:
        self._file.write(encode_line(output_to_json(output)) + b"\n")


def _writer(stack: ExitStack, out: Path | None) -> _OutputWriter | None:
    if out is None:
        return None
    try:
        return _OutputWriter(stack.enter_context(out.open("wb")))
    except OSError as error:
        raise typer.BadParameter(f"cannot write {out}: {error.strerror}", param_hint="--out") from error


class _Progress:
    """A line on stderr every two seconds of work."""

    def __init__(self, began: float) -> None:
        self._began = self._reported = began

    def __call__(self, messages: int) -> None:
        now = time.perf_counter()
        if now - self._reported >= _PROGRESS_EVERY_S:
            self._reported = now
            print(f"{messages:,} messages, {messages / (now - self._began):,.0f}/s", file=sys.stderr)


def _print_json(report: Report, counts: Counts, elapsed_s: float, explainer: Explainer | None) -> None:
    data = msgspec.to_builtins(report) | msgspec.to_builtins(counts)
    data["seconds"] = round(elapsed_s, 6)
    data["messages_per_s"] = round(report.messages / elapsed_s)
    if explainer is not None:
        data["explanation"] = explainer.story()
    terminal.show_json(data)


def _print_report(report: Report, counts: Counts, elapsed_s: float, explainer: Explainer | None) -> None:
    if explainer is not None:
        print(explainer.story(), end="\n\n")
    dropped = ", ".join(f"{count} {reason}" for reason, count in report.dropped.items() if count)
    fields = {
        "messages": report.messages,
        "messages_per_s": round(report.messages / elapsed_s),
        "undecodable": report.undecodable,
        "dropped": dropped or 0,
        "outputs": report.outputs,
        "accounts": report.accounts,
        "open_trades": report.open_trades,
        "resting_orders": report.resting_orders,
        "log_time": f"{report.log_time} ({to_datetime(report.log_time)})",
    }
    if counts.other_frames or counts.bad_frames:
        fields |= {"other_frames": counts.other_frames, "bad_frames": counts.bad_frames}
    for asset, kinds in report.ledger.items():
        fields[f"ledger_{asset}"] = ", ".join(f"{kind} {amount}" for kind, amount in kinds.items())
    terminal.show_fields(fields | {"state_hash": report.state_hash})
