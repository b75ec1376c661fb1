"""What the router keeps in Redis, and the fence that makes each effect happen there once.

`router:position:{shard}` holds the position and offset up to which the data of a shard is in Redis. It
changes in the same MULTI as the data, under WATCH: Redis and its position cannot disagree, and a wiped
Redis has no position. `router:ready` exists once all shards have caught up.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import uuid4

from redis.asyncio import Redis
from redis.exceptions import ConnectionError, ResponseError, WatchError

from paceline.adapters.postgres.readers import Standing

Command = tuple[str | bytes | int, ...]

READY: Final = "router:ready"
_READY_SHARDS: Final = "router:ready_shards"
_PIPELINE: Final = 5_000


class FenceBroken(Exception):
    """Redis is not where this router left it: wiped, restored from older data, or moved by another."""


class WatchLost(ConnectionError):
    """The key that was watched changed, or the connection broke: what holds now must be asked again."""


def _position_key(shard: int) -> str:
    return f"router:position:{shard}"


def _state_from_key(shard: int) -> str:
    return f"router:state_from:{shard}"


def _text(standing: Standing) -> bytes:
    return f"{standing.position}:{standing.offset}".encode()


class RouterStore:
    def __init__(self, client: Redis, shards: int) -> None:
        # Its annotations speak of text or bytes; ours is made to answer bytes.
        self._client: Any = client
        self._shards = shards

    async def standing(self, shard: int) -> tuple[Standing, int] | None:
        """How far a shard's data goes, and the position from which on state follows effects.

        None when Redis has nothing of the shard.
        """
        text, state_from = await self._client.mget(_position_key(shard), _state_from_key(shard))
        if text is None or state_from is None:
            return None
        position, offset = text.split(b":")
        return Standing(int(position), int(offset)), int(state_from)

    async def forget(self, shard: int) -> None:
        """Make the next opening of a shard rebuild it."""
        await self._client.delete(_position_key(shard))

    async def fields(self, wanted: Sequence[tuple[str, str]]) -> list[bytes | None]:
        """Fields of hashes, given as `(key, field)`."""
        pipeline = self._client.pipeline(transaction=False)
        for key, field in wanted:
            pipeline.hget(key, field)
        return list(await pipeline.execute())

    async def apply(self, shard: int, was: Standing, now: Standing, commands: Iterable[Command]) -> None:
        """Do all commands and move the shard's position, or nothing.

        Repeating a call whose answer was lost does no harm. `FenceBroken` when Redis stands neither at
        `was` nor at `now`; `WatchLost` when that cannot be told before it is asked again.
        """
        async with _watching(self._client) as pipeline:
            await pipeline.watch(_position_key(shard))
            found = await pipeline.get(_position_key(shard))
            if found == _text(now) and now != was:
                return
            if found != _text(was):
                raise FenceBroken(f"Redis stands at {found!r}, this router at {_text(was)!r}")
            pipeline.multi()
            for command in commands:
                pipeline.execute_command(*command)
            pipeline.set(_position_key(shard), _text(now))
            answers = await pipeline.execute(raise_on_error=False)
        _check(answers)

    async def rebuild(
        self, shard: int, standing: Standing, state_from: int, commands: Iterable[Command]
    ) -> None:
        """Write a shard's state as of position `state_from` anew, to go on at `standing`.

        `FenceBroken` when Redis was wiped meanwhile.
        """
        token_key, token = f"router:rebuilding:{shard}", uuid4().hex.encode()
        await self._client.set(token_key, token, ex=3600)
        batch: list[Command] = []
        for command in commands:
            batch.append(command)
            if len(batch) >= _PIPELINE:
                await self._send(batch)
                batch = []
        await self._send(batch)
        async with _watching(self._client) as pipeline:
            await pipeline.watch(token_key)
            if await pipeline.get(token_key) != token:
                raise FenceBroken("Redis was wiped while it was being rebuilt")
            pipeline.multi()
            pipeline.delete(token_key)
            pipeline.set(_state_from_key(shard), state_from)
            pipeline.set(_position_key(shard), _text(standing))
            await pipeline.execute()

    async def _send(self, commands: list[Command]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        _check(await pipeline.execute(raise_on_error=False))

    async def mark_ready(self, shard: int) -> None:
        """Note that a shard has caught up; with the last one, everything here is whole."""
        await self._client.sadd(_READY_SHARDS, str(shard))
        if await self._client.scard(_READY_SHARDS) >= self._shards:
            await self._client.set(READY, b"1")

    async def marks(self, shard: int) -> list[tuple[int, int]]:
        """`(log time µs, position)` pairs noted about each minute, oldest first."""
        found = await self._client.zrange(f"router:marks:{shard}", 0, -1, withscores=True)
        return [(int(score), int(member)) for member, score in found]


def mark_commands(shard: int, time_us: int, position: int, oldest_us: int) -> list[Command]:
    """Notes at which position a time was reached, and forgets what is older than the time still needed."""
    key = f"router:marks:{shard}"
    return [("ZADD", key, time_us, position), ("ZREMRANGEBYSCORE", key, "-inf", f"({oldest_us}")]


@asynccontextmanager
async def _watching(client: Any) -> AsyncIterator[Any]:
    """A pipeline that watches a key.

    redis-py says `WatchError` of a key that changed and also of a connection that broke while it watched: who
    asks again learns which it was.
    """
    async with client.pipeline(transaction=True) as pipeline:
        try:
            yield pipeline
        except WatchError as error:
            raise WatchLost(str(error)) from error


def _check(answers: list[Any]) -> None:
    """A refused stream id means that the entry is there already; any other refusal is a fault."""
    for answer in answers:
        if isinstance(answer, ResponseError) and "equal or smaller" in str(answer):
            continue
        if isinstance(answer, Exception):
            raise answer
