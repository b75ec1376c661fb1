"""Replay: apply messages from files to the same engine, without a server.

A file has one JSON message per line (`jsonl`), or recorded frames of an exchange. Several files are merged by
time. At equal times the file named first comes first, and each file keeps its order.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import chain, islice
from typing import Any, Literal, cast

import msgspec
from msgspec import Struct

from paceline.core.money import format_decimal
from paceline.engine import Engine
from paceline.messages.decode_errors import DECODE_ERRORS
from paceline.messages.inbound import Inbound
from paceline.messages.json_form import DecodeError, decode_line
from paceline.messages.log_form import Undecodable
from paceline.messages.outbound import Outbound
from paceline.usecases.replay.explain import Explainer
from paceline.usecases.replay.recorded_frames import FrameError, Venue, price_of_frame

Format = Literal["jsonl", "binance", "backpack"]
Replayed = Inbound | Undecodable
Timed = tuple[int, Replayed]

_LINES_INSPECTED = 200


class Counts(Struct):
    """Lines of recorded frames that gave no message: frames of other kinds, and unreadable lines."""

    other_frames: int = 0
    bad_frames: int = 0


class Report(Struct, frozen=True):
    """The engine's state after a replay. Ledger totals per asset and kind of account are decimal strings."""

    messages: int
    undecodable: int
    dropped: dict[str, int]
    outputs: int
    accounts: int
    open_trades: int
    resting_orders: int
    log_time: int
    ledger: dict[str, dict[str, str]]
    state_hash: str


def detect_format(lines: Sequence[bytes]) -> Format | None:
    """The format of a file, detected from its first lines; None if no line shows it."""
    for line in lines:
        text = line.strip()
        head, separator, rest = text.partition(b" ")
        frame = _object_of(rest if separator and head.isdigit() else text)
        if frame is None:
            continue
        if "stream" in frame and "data" in frame:
            stream = str(frame["stream"])
            return "binance" if "@" in stream else "backpack"
        if "type" in frame:
            return "jsonl"
    return None


def timed_messages(
    lines: Iterable[bytes], wanted: Format | None, symbols: Mapping[str, str], counts: Counts
) -> Iterator[Timed]:
    """The messages of one file with the times that order them.

    The format is detected from the lines; `wanted` is used if they do not show it.
    """
    remaining = iter(lines)
    first = list(islice(remaining, _LINES_INSPECTED))
    format_ = detect_format(first) or wanted or "jsonl"
    all_lines = chain(first, remaining)
    if format_ == "jsonl":
        return _from_json_lines(all_lines)
    return _from_frames(all_lines, format_, symbols, counts)


def _from_json_lines(lines: Iterable[bytes]) -> Iterator[Timed]:
    """An undecodable line counts as a message, at its own time or right after the message before it."""
    previous_us = 0
    for line in lines:
        text = line.rstrip(b"\r\n")
        message: Replayed
        try:
            message = decode_line(text)
            previous_us = message.time
        except DecodeError as error:
            message = Undecodable(text, str(error))
            previous_us = _time_of(text, default_us=previous_us)
        yield previous_us, message


def _time_of(text: bytes, default_us: int) -> int:
    time = (_object_of(text) or {}).get("time")
    return time if isinstance(time, int) and not isinstance(time, bool) and time >= 0 else default_us


def _object_of(text: bytes) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(text)
    except DECODE_ERRORS:
        return None
    return cast(dict[str, Any], value) if isinstance(value, dict) else None


def _from_frames(
    lines: Iterable[bytes], venue: Venue, symbols: Mapping[str, str], counts: Counts
) -> Iterator[Timed]:
    """An unreadable frame is skipped: the feed does not write it to the log either."""
    for line in lines:
        try:
            message = price_of_frame(line, venue, symbols)
        except FrameError:
            counts.bad_frames += 1
            continue
        if message is None:
            counts.other_frames += 1
        else:
            yield message.time, message


def merged(files: Sequence[Iterator[Timed]]) -> Iterator[Replayed]:
    """The messages of all files in the order of the log."""
    return (message for _, message in merge(*files, key=lambda timed: timed[0]))


def replay(
    engine: Engine,
    messages: Iterable[Replayed],
    *,
    put: Callable[[Outbound], None] | None = None,
    explainer: Explainer | None = None,
    progress: Callable[[int], None] | None = None,
    at: int | None = None,
) -> Report:
    """Apply messages, up to position `at`, and report the engine's state.

    `put` receives each output. `progress` is called every 10,000 messages with the number applied.
    """
    outputs_count = 0
    for message in messages:
        position = engine.position
        if at is not None and position >= at:
            break
        if progress is not None and position % 10_000 == 0:
            progress(position)
        if isinstance(message, Undecodable):
            engine.apply_undecodable()
            continue
        outputs = engine.apply(message)
        outputs_count += len(outputs)
        if put is not None:
            for output in outputs:
                put(output)
        if explainer is not None:
            explainer.see(engine, position, message, outputs)
    return _report(engine, outputs_count)


def _report(engine: Engine, outputs: int) -> Report:
    engine.check_ledger()
    stats = engine.stats()
    return Report(
        messages=engine.position,
        undecodable=stats.undecodable,
        dropped=stats.dropped,
        outputs=outputs,
        accounts=stats.accounts,
        open_trades=stats.open_trades,
        resting_orders=stats.resting_orders,
        log_time=engine.log_time,
        ledger={
            asset: {kind: format_decimal(amount) for kind, amount in kinds.items()}
            for asset, kinds in engine.ledger().items()
        },
        state_hash=engine.state_hash(),
    )
