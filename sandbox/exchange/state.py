"""State that the exchange keeps across restarts: the last prices and the last update id."""

import os
from pathlib import Path

import msgspec


class Memory(msgspec.Struct):
    last_update_id: int = 0
    prices: dict[str, float] = msgspec.field(default_factory=dict)

    def next_update_id(self, now_us: int) -> int:
        """`now_us`, or the last id + 1 if that is higher: ids always rise, also across restarts."""
        following = self.last_update_id + 1
        self.last_update_id = following if following > now_us else now_us
        return self.last_update_id


def load(path: Path | None) -> Memory:
    """The state at `path`; a new one if the file is missing or cannot be read."""
    if path is None or not path.is_file():
        return Memory()
    try:
        return msgspec.json.decode(path.read_bytes(), type=Memory)
    except msgspec.MsgspecError:
        return Memory()


def save(path: Path | None, memory: Memory) -> None:
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(msgspec.json.encode(memory))
    os.replace(part, path)
