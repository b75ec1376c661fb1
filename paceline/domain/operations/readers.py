"""The readers of the two logs: what each of them reads, and how far it has come."""

from collections.abc import Mapping
from typing import Final, Protocol

from msgspec import Struct

from paceline.core.errors import PermanentError


class Reads(Struct, frozen=True):
    """The log that a reader reads: of every shard, or of shard 0 only."""

    topic: str
    every_shard: bool = True

    def shards(self, count: int) -> range:
        """The shards that it reads in an installation of `count` shards."""
        return range(count if self.every_shard else 1)


# The watchdog, `paceline status`, the drill and `paceline log archive --cut` follow this list.
READERS: Final[Mapping[str, Reads]] = {
    "engine": Reads("engine.in"),
    "writer": Reads("engine.out"),
    "router": Reads("engine.out"),
    "bars": Reads("engine.in", every_shard=False),
}


class Record(Protocol):
    """The part of a log record that readers use."""

    offset: int
    value: bytes


class OffsetRange(Struct, frozen=True):
    """Offsets of a partition: of the first record kept, and after the last record."""

    begin: int
    end: int


class ReaderPosition(Struct, frozen=True):
    """Position of the next message (on `engine.out`: of the next effect) and Kafka offset of the next record
    that a reader needs."""

    position: int
    offset: int


def check_reach(reader: str, shard: int, at: ReaderPosition, begin: int, end: int) -> None:
    """`PermanentError` unless the log, with offsets `[begin, end)`, continues at the reader's offset."""
    if begin <= at.offset <= end:
        return
    raise PermanentError(
        f"The {reader} is at offset {at.offset} of {READERS[reader].topic}, shard {shard}, but the log holds "
        f"offsets {begin} to {end}: topic and database are of different installations, or the log was cut."
    )
