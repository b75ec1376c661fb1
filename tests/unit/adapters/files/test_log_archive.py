"""The archive of a log: it reads back what was written and detects every change."""

import gzip
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from paceline.adapters.files.log_archive import MANIFEST, LogArchive
from paceline.core.errors import InvariantViolation
from paceline.domain.operations.archive import Manifest

# Lines by record: two segments of two records, the first with three messages, the second with two.
STRETCHES = [[[b"a", b"b"], [b"c"]], [[b"d"], [b"e"]]]


@pytest.fixture
def archive(tmp_path: Path) -> LogArchive:
    made = LogArchive(tmp_path / "shard-3")
    manifest = Manifest(shard=3)
    offset = 0
    for records in STRETCHES:
        writer = made.begin(manifest.next_position, manifest.next_offset)
        for lines in records:
            writer.add(offset, lines)
            offset += 1
        manifest = made.add(manifest, writer.close())
    return made


def read(archive: LogArchive) -> list[bytes]:
    manifest = archive.manifest()
    assert manifest is not None
    return list(archive.lines(manifest))


def test_an_archive_reads_back(archive: LogArchive) -> None:
    assert read(archive) == [b"a", b"b", b"c", b"d", b"e"]
    manifest = archive.manifest()
    assert manifest is not None
    assert (manifest.shard, manifest.next_position, manifest.next_offset) == (3, 5, 4)
    assert [segment.file for segment in manifest.segments] == [
        "000000000000-000000000002.jsonl.gz",
        "000000000003-000000000004.jsonl.gz",
    ]
    assert sorted(path.name for path in archive.folder.iterdir()) == [
        *(segment.file for segment in manifest.segments),
        MANIFEST,
    ]


def test_an_empty_folder_has_no_manifest(tmp_path: Path) -> None:
    assert LogArchive(tmp_path).manifest() is None
    assert LogArchive(tmp_path / "nowhere").manifest() is None


def test_an_unfinished_segment_is_not_part_of_the_archive(archive: LogArchive) -> None:
    writer = archive.begin(5, 4)
    writer.add(4, [b"f"])
    assert read(archive) == [b"a", b"b", b"c", b"d", b"e"]
    writer.abandon()
    assert not list(archive.folder.glob("*.part"))
    assert read(archive) == [b"a", b"b", b"c", b"d", b"e"]


def _other_line(archive: LogArchive) -> None:
    path = archive.folder / "000000000000-000000000002.jsonl.gz"
    path.write_bytes(gzip.compress(b"a\nX\nc\n"))


def _shorter(archive: LogArchive) -> None:
    path = archive.folder / "000000000003-000000000004.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-9])


def _gone(archive: LogArchive) -> None:
    (archive.folder / "000000000000-000000000002.jsonl.gz").unlink()


def _no_json(archive: LogArchive) -> None:
    (archive.folder / MANIFEST).write_text("{")


def _change(archive: LogArchive, changed: Callable[[list[dict[str, object]]], object]) -> None:
    path = archive.folder / MANIFEST
    manifest = msgspec.json.decode(path.read_bytes())
    changed(manifest["stretches"])
    path.write_bytes(msgspec.json.encode(manifest))


def _first_left_out(archive: LogArchive) -> None:
    _change(archive, lambda segments: segments.pop(0))


def _hash_exchanged(archive: LogArchive) -> None:
    _other_line(archive)
    _change(archive, lambda segments: segments[0].update(sha256="0" * 64))


def _other_offset(archive: LogArchive) -> None:
    _change(archive, lambda segments: segments[1].update(last_offset=9))


@pytest.mark.parametrize(
    "damage",
    [_other_line, _shorter, _gone, _no_json, _first_left_out, _hash_exchanged, _other_offset],
)
def test_every_change_is_detected(archive: LogArchive, damage: Callable[[LogArchive], None]) -> None:
    damage(archive)
    with pytest.raises(InvariantViolation):
        read(archive)
