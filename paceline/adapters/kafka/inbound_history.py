"""A shard's `engine.in` from its beginning: what was archived from the files, the rest from Kafka."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from itertools import islice
from typing import Final

from paceline.adapters.files.log_archive import LogArchive
from paceline.adapters.kafka.log_scan import Scan, scan
from paceline.adapters.kafka.topics import ENGINE_IN
from paceline.core.connections import KafkaConnection
from paceline.core.errors import PermanentError
from paceline.domain.operations.archive import Manifest
from paceline.domain.operations.readers import OffsetRange, ReaderPosition
from paceline.messages.inbound import Inbound
from paceline.messages.json_form import DecodeError, decode_line
from paceline.messages.log_form import Undecodable, decode_messages
from paceline.ports.market import LoggedMessages

_LINES: Final = 1_000

Places = Callable[[], Awaitable[Sequence[ReaderPosition]]]


class KafkaInboundHistory:
    """`archive` is the folder of the shard's archive, if there is one. `places` returns places of which both
    position and offset are known, such as those of snapshots: messages of a log that was cut are counted from
    there."""

    def __init__(
        self, kafka: KafkaConnection, shard: int, places: Places, archive: LogArchive | None = None
    ) -> None:
        self._kafka = kafka
        self._shard = shard
        self._places = places
        self._archive = archive

    async def read(self, start: ReaderPosition | None = None) -> AsyncIterator[LoggedMessages]:
        async with scan(self._kafka, ENGINE_IN, self._shard) as log:
            bounds = await log.bounds()
            if start is None and self._archive is not None and (manifest := self._archive.manifest()):
                for part in _archived(self._archive, manifest):
                    yield part
                start = ReaderPosition(manifest.next_position, manifest.next_offset)
            start = start or await self._first(log, bounds)
            if not bounds.begin <= start.offset <= bounds.end:
                raise PermanentError(
                    f"The log of shard {self._shard} holds offsets {bounds.begin} to {bounds.end}, but "
                    f"{start.offset} comes next. Name the folder of its archive."
                )
            yield LoggedMessages([], start.position, start)
            position = start.position
            async for record in log.records(start.offset, bounds.end):
                messages = decode_messages(record.value)
                after = ReaderPosition(position + len(messages), record.offset + 1)
                yield LoggedMessages(messages, position, after)
                position = after.position

    async def _first(self, log: Scan, bounds: OffsetRange) -> ReaderPosition:
        """Where the log in Kafka begins."""
        if bounds.begin == 0:
            return ReaderPosition(0, 0)
        known = [one for one in await self._places() if bounds.begin <= one.offset <= bounds.end]
        if not known:
            raise PermanentError(
                f"The log of shard {self._shard} begins at offset {bounds.begin}, and no snapshot says at "
                "which position that is. Name the folder of its archive."
            )
        place = min(known, key=lambda one: one.offset)
        count = 0
        async for record in log.records(bounds.begin, place.offset):
            count += len(decode_messages(record.value))
        return ReaderPosition(place.position - count, bounds.begin)


def _archived(archive: LogArchive, manifest: Manifest) -> Iterator[LoggedMessages]:
    position = 0
    lines = archive.lines(manifest)
    while messages := [_message(line) for line in islice(lines, _LINES)]:
        yield LoggedMessages(messages, position, None)
        position += len(messages)


def _message(line: bytes) -> Inbound | Undecodable:
    try:
        return decode_line(line)
    except DecodeError as error:
        return Undecodable(line, str(error))
