"""The router's data in Redis, and the fence that applies each effect there once.

`router:position:{shard}` holds the position and offset up to which the data of a shard is in Redis. One
script compares and changes it together with the data: the two cannot disagree, a wiped Redis has no position,
and a batch costs one round trip. `router:ready` exists once all shards have caught up.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import uuid4

import msgspec
from redis.exceptions import NoScriptError, ResponseError

from paceline.adapters.redis import keys
from paceline.adapters.redis.client import AsyncRedis
from paceline.domain.operations.readers import ReaderPosition

# Text, not bytes: Redis' msgpack has no bytes.
Command = tuple[str | int, ...]

_PIPELINE: Final = 5_000

# ARGV: position before and after, then the commands as msgpack, which C code writes and reads. A refused
# stream id means that the entry exists already; any other error leaves the position unchanged.
# The first SET changes nothing. If Redis has reached `maxmemory`, it fails here, before anything is written;
# Redis refuses only the first write of a script for this reason.
_APPLY: Final = """
local found = redis.call('GET', KEYS[1])
if found == ARGV[2] and ARGV[1] ~= ARGV[2] then return 'done before' end
if found ~= ARGV[1] then return redis.error_reply('FENCE ' .. tostring(found)) end
redis.call('SET', KEYS[1], ARGV[1])
for _, command in ipairs(cmsgpack.unpack(ARGV[3])) do
    local answer = redis.pcall(unpack(command))
    if type(answer) == 'table' and answer.err and not answer.err:find('equal or smaller', 1, true) then
        return answer
    end
end
redis.call('SET', KEYS[1], ARGV[2])
return 'done'
"""
# The rebuilt state is valid only if the token from its beginning still exists.
_REBUILT: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[2], ARGV[2])
redis.call('SET', KEYS[3], ARGV[3])
return 1
"""


class FenceBroken(Exception):
    """Redis is not at the position where this router left it: wiped, restored from older data, or moved by
    another process."""


def _text(standing: ReaderPosition) -> bytes:
    return f"{standing.position}:{standing.offset}".encode()


class RouterStore:
    def __init__(self, client: AsyncRedis, shards: int) -> None:
        # Its type hints allow text or bytes; this client returns bytes.
        self._client: Any = client
        self._shards = shards
        self._apply_sha = self._client.register_script(_APPLY).sha
        self._rebuilt = self._client.register_script(_REBUILT)

    async def standing(self, shard: int) -> tuple[ReaderPosition, int] | None:
        """Where a shard's data ends, and the position from which effects change the state.

        None if Redis has no data of the shard.
        """
        text, state_from = await self._client.mget(keys.router_position(shard), keys.router_state_from(shard))
        if text is None or state_from is None:
            return None
        position, offset = text.split(b":")
        return ReaderPosition(int(position), int(offset)), int(state_from)

    async def forget(self, shard: int) -> None:
        """Delete the position of a shard, so that its next opening rebuilds it."""
        await self._client.delete(keys.router_position(shard))

    async def fields(self, wanted: Sequence[tuple[str, str]]) -> list[bytes | None]:
        """Fields of hashes, given as `(key, field)`."""
        return await self._client.ask(*[("HGET", key, field) for key, field in wanted]) if wanted else []

    async def apply(
        self, shard: int, was: ReaderPosition, now: ReaderPosition, commands: Sequence[Command]
    ) -> None:
        """Run all commands and move the shard's position, or do nothing.

        A repeat of a call whose answer was lost is safe. `FenceBroken` if Redis is neither at `was` nor at
        `now`.
        """
        packed = msgspec.msgpack.encode(commands)
        arguments = (1, keys.router_position(shard), _text(was), _text(now), packed)
        try:
            try:
                await self._client.ask(("EVALSHA", self._apply_sha, *arguments))
            except NoScriptError:  # Redis keeps the script from its first use until a restart
                await self._client.ask(("EVAL", _APPLY, *arguments))
        except ResponseError as error:
            if not str(error).startswith("FENCE"):
                raise
            raise FenceBroken(f"Redis is at {error}, this router at {_text(was)!r}") from error

    async def rebuild(
        self, shard: int, standing: ReaderPosition, state_from: int, commands: Iterable[Command]
    ) -> None:
        """Write a shard's state as of position `state_from` again, to go on at `standing`.

        `FenceBroken` if Redis was wiped meanwhile.
        """
        token_key, token = keys.router_rebuilding(shard), uuid4().hex.encode()
        await self._client.set(token_key, token, ex=3600)
        batch: list[Command] = []
        for command in commands:
            batch.append(command)
            if len(batch) >= _PIPELINE:
                await self._send(batch)
                batch = []
        await self._send(batch)
        names = [token_key, keys.router_state_from(shard), keys.router_position(shard)]
        if not await self._rebuilt(keys=names, args=[token, state_from, _text(standing)]):
            raise FenceBroken("Redis has been wiped during the rebuild")

    async def _send(self, commands: list[Command]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        await pipeline.execute()

    async def mark_ready(self, shard: int) -> None:
        """Note that a shard has caught up; with the last one, all data here is complete."""
        await self._client.sadd(keys.READY_SHARDS, str(shard))
        if await self._client.scard(keys.READY_SHARDS) >= self._shards:
            await self._client.set(keys.READY, b"1")

    async def marks(self, shard: int) -> list[tuple[int, int]]:
        """`(log time µs, position)` pairs, noted about once a minute, oldest first."""
        found = await self._client.zrange(keys.router_marks(shard), 0, -1, withscores=True)
        return [(int(score), int(member)) for member, score in found]


def mark_commands(shard: int, time_us: int, position: int, oldest_us: int) -> list[Command]:
    """Commands that note the position at a time and remove notes older than `oldest_us`."""
    key = keys.router_marks(shard)
    return [("ZADD", key, time_us, position), ("ZREMRANGEBYSCORE", key, "-inf", f"({oldest_us}")]
