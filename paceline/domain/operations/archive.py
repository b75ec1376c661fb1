"""What the archive of a shard's log holds: segments, and the manifest that lists them."""

from typing import Final

from msgspec import Struct

MANIFEST_VERSION: Final = 1


class Segment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Positions are those of its first and last message, offsets of its first and last Kafka record; both
    ends are included."""

    file: str
    first_position: int
    last_position: int
    first_offset: int
    last_offset: int
    sha256: str
    chain: str = ""


class Manifest(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"segments": "stretches"}
):
    """The key `stretches` is that of archives that exist already."""

    shard: int
    version: int = MANIFEST_VERSION
    segments: list[Segment] = []

    @property
    def next_position(self) -> int:
        return self.segments[-1].last_position + 1 if self.segments else 0

    @property
    def next_offset(self) -> int:
        return self.segments[-1].last_offset + 1 if self.segments else 0
