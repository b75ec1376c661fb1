"""The ports of the log's archive, in memory."""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from msgspec import Struct
from msgspec.structs import replace

from paceline.core.errors import InvariantViolation
from paceline.domain.operations.archive import Manifest, Segment
from paceline.domain.operations.readers import Record
from paceline.ports.operations import SnapshotPlace
from tests.support.fakes.store import FakeStore


class FakeRecord(Struct):
    offset: int
    value: bytes


@dataclass
class FakeStoredProgress(FakeStore):
    """Of one shard. `stored` are the snapshots with their chunks, newest first."""

    stored: list[tuple[SnapshotPlace, list[bytes]]] = field(default_factory=list)
    offsets: dict[str, int] = field(default_factory=dict)

    async def snapshots(self, shard: int) -> list[SnapshotPlace]:
        self._check_available()
        return [place for place, _ in self.stored]

    async def chunks(self, shard: int, generation: int) -> list[bytes]:
        self._check_available()
        return next((chunks for place, chunks in self.stored if place.generation == generation), [])

    async def reader_offsets(self, shard: int) -> Mapping[str, int]:
        self._check_available()
        return self.offsets


@dataclass
class FakeShardLog:
    values: list[bytes]
    first: int = 0

    async def begin(self) -> int:
        return self.first

    async def records(self, begin: int, end: int) -> AsyncIterator[Record]:
        for offset in range(begin, end):
            yield FakeRecord(offset, self.values[offset])

    async def cut_before(self, offset: int) -> int:
        self.first = max(self.first, offset)
        return self.first


class FakeSegment:
    def __init__(self, archive: "FakeArchive", position: int, offset: int) -> None:
        self._archive = archive
        self._first = (position, offset)
        self._last_offset = offset
        self._lines: list[bytes] = []

    @property
    def messages(self) -> int:
        return len(self._lines)

    def add(self, offset: int, lines: Iterable[bytes]) -> None:
        self._lines += lines
        self._last_offset = offset

    def close(self) -> Segment:
        position, offset = self._first
        last = position + len(self._lines) - 1
        name = f"{position}-{last}"
        self._archive.files[name] = self._lines
        return Segment(
            file=name,
            first_position=position,
            last_position=last,
            first_offset=offset,
            last_offset=self._last_offset,
            sha256=_hash(self._lines),
        )

    def abandon(self) -> None:
        self._lines = []


@dataclass
class FakeArchive:
    """`files` are the lines of each segment by its name."""

    files: dict[str, list[bytes]] = field(default_factory=dict)
    kept: Manifest | None = None
    name: str = "the archive"

    def manifest(self) -> Manifest | None:
        return self.kept

    def begin(self, position: int, offset: int) -> FakeSegment:
        return FakeSegment(self, position, offset)

    def add(self, manifest: Manifest, segment: Segment) -> Manifest:
        self.kept = replace(manifest, segments=[*manifest.segments, segment])
        return self.kept

    def verify(self, manifest: Manifest) -> None:
        for one in manifest.segments:
            if _hash(self.files[one.file]) != one.sha256:
                raise InvariantViolation(f"{one.file} is not the archived segment.")


def _hash(lines: list[bytes]) -> str:
    return sha256(b"\n".join(lines)).hexdigest()
