"""The shard of an account, and the ids of the engine's outputs."""

from zlib import crc32


def shard_of(account: str, shards: int) -> int:
    """The shard (Kafka partition) that owns an account: `crc32(utf8(account)) mod shards`."""
    return crc32(account.encode()) % shards


def output_id(shard: int, position: int, ordinal: int) -> str:
    """Id of an output: the position of the message that caused it, and the output's index within it."""
    return f"{shard}:{position}:{ordinal}"


def parse_output_id(text: str) -> tuple[int, int, int]:
    """`(shard, position, ordinal)` of an output id; `ValueError` if the text is not one."""
    parts = text.split(":")
    if len(parts) != 3 or not all(part.isascii() and part.isdecimal() for part in parts):
        raise ValueError(f"{text[:40]!r} is not an id of the form shard:position:ordinal")
    shard, position, ordinal = map(int, parts)
    return shard, position, ordinal
