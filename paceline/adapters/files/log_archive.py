"""A shard's log in files: segments of compressed JSON lines, and a manifest that chains their hashes.

`manifest.json` lists the segments in order. A segment's `sha256` is that of its uncompressed lines; its
`chain` is the SHA-256 of the previous chain and all that the manifest holds of the segment. Any change,
omission or insertion therefore changes the last chain.
"""

import gzip
import os
from collections import deque
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import IO, Final

import msgspec
from msgspec.structs import replace

from paceline.core.errors import InvariantViolation, PermanentError
from paceline.domain.operations.archive import MANIFEST_VERSION, Manifest, Segment

MANIFEST: Final = "manifest.json"


class SegmentWriter:
    """Writes one segment under a temporary name; `close` gives it its final name."""

    def __init__(self, folder: Path, position: int, offset: int) -> None:
        self._folder = folder
        self._first = (position, offset)
        self._next_position = position
        self._last_offset = offset
        self._hash = sha256()
        self._part = folder / "segment.part"
        self._raw: IO[bytes] = self._part.open("wb")
        # Without a time in the header, equal lines give equal files.
        self._out = gzip.GzipFile("", "wb", fileobj=self._raw, mtime=0)

    @property
    def messages(self) -> int:
        return self._next_position - self._first[0]

    def add(self, offset: int, lines: Iterable[bytes]) -> None:
        """Write the lines of the record at `offset`."""
        for line in lines:
            self._hash.update(line + b"\n")
            self._out.write(line + b"\n")
            self._next_position += 1
        self._last_offset = offset

    def abandon(self) -> None:
        """Delete the unfinished file."""
        self._out.close()
        self._raw.close()
        self._part.unlink()

    def close(self) -> Segment:
        """Finish the file, flushed to disk."""
        self._out.close()
        self._raw.flush()
        os.fsync(self._raw.fileno())
        self._raw.close()
        last = self._next_position - 1
        file = f"{self._first[0]:012d}-{last:012d}.jsonl.gz"
        self._part.replace(self._folder / file)
        return Segment(
            file=file,
            first_position=self._first[0],
            last_position=last,
            first_offset=self._first[1],
            last_offset=self._last_offset,
            sha256=self._hash.hexdigest(),
        )


class LogArchive:
    """The archive of one shard in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def name(self) -> str:
        return str(self.folder)

    def manifest(self) -> Manifest | None:
        """The manifest, `None` if nothing is archived; `InvariantViolation` if its chain is broken."""
        try:
            text = (self.folder / MANIFEST).read_bytes()
        except FileNotFoundError:
            return None
        try:
            manifest = msgspec.json.decode(text, type=Manifest)
        except msgspec.MsgspecError as error:
            raise InvariantViolation(f"{self.folder / MANIFEST} is not a manifest: {error}") from error
        if manifest.version != MANIFEST_VERSION:
            raise PermanentError(
                f"{self.folder / MANIFEST} has version {manifest.version}, not {MANIFEST_VERSION}."
            )
        _check_chain(manifest, self.folder)
        return manifest

    def begin(self, position: int, offset: int) -> SegmentWriter:
        self.folder.mkdir(parents=True, exist_ok=True)
        return SegmentWriter(self.folder, position, offset)

    def add(self, manifest: Manifest, segment: Segment) -> Manifest:
        """Add a finished segment to the manifest; the file is replaced in one step."""
        before = manifest.segments[-1].chain if manifest.segments else ""
        chained = replace(segment, chain=_chain(before, segment))
        longer = replace(manifest, segments=[*manifest.segments, chained])
        part = self.folder / f"{MANIFEST}.part"
        with part.open("wb") as out:
            out.write(msgspec.json.format(msgspec.json.encode(longer), indent=2) + b"\n")
            out.flush()
            os.fsync(out.fileno())
        part.replace(self.folder / MANIFEST)
        return longer

    def lines(self, manifest: Manifest) -> Iterator[bytes]:
        """All archived lines, without line ends; `InvariantViolation` at the end of a file that differs."""
        for segment in manifest.segments:
            yield from self._lines_of(segment)

    def verify(self, manifest: Manifest) -> None:
        """`InvariantViolation` if the files differ from the manifest."""
        deque(self.lines(manifest), maxlen=0)  # reading to the end checks them

    def _lines_of(self, segment: Segment) -> Iterator[bytes]:
        path, found, count = self.folder / segment.file, sha256(), 0
        try:
            with gzip.open(path) as lines:
                for line in lines:
                    found.update(line)
                    count += 1
                    yield line.rstrip(b"\n")
        except (OSError, EOFError) as error:
            raise InvariantViolation(f"{path} cannot be read to its end: {error}") from error
        if found.hexdigest() != segment.sha256 or count != segment.last_position - segment.first_position + 1:
            raise InvariantViolation(f"{path} is not the archived file: its SHA-256 is {found.hexdigest()}.")


def _chain(before: str, segment: Segment) -> str:
    fields = (
        segment.file,
        segment.first_position,
        segment.last_position,
        segment.first_offset,
        segment.last_offset,
        segment.sha256,
    )
    return sha256(" ".join(map(str, (before, *fields))).encode()).hexdigest()


def _check_chain(manifest: Manifest, folder: Path) -> None:
    before, position, offset = "", 0, 0
    for segment in manifest.segments:
        continues = segment.first_position == position and segment.first_offset == offset
        if (
            not continues
            or segment.chain != _chain(before, segment)
            or Path(segment.file).name != segment.file
        ):
            raise InvariantViolation(f"The manifest in {folder} is broken at {segment.file}.")
        before, position, offset = segment.chain, segment.last_position + 1, segment.last_offset + 1
