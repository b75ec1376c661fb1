"""Writes batches of `engine.out` to Redis. Redis may lose its data at any time: then it is rebuilt.

A rebuild takes the state from Postgres at the writer's position and goes on with the log from there. Replies
and events are repeated from the router's own position.
"""

import asyncio
import math
import time
from collections import deque
from typing import Any, Final

import structlog

from paceline.adapters.postgres import readers
from paceline.adapters.postgres.connections.connect import Connection
from paceline.adapters.postgres.connections.unavailable import (
    UNAVAILABLE_ERRORS as POSTGRES_UNAVAILABLE_ERRORS,
)
from paceline.adapters.postgres.connections.worker import WorkerConnection
from paceline.adapters.postgres.operations import installation
from paceline.adapters.postgres.trading import history
from paceline.adapters.redis import keys
from paceline.adapters.redis.client import UNAVAILABLE_ERRORS, connect
from paceline.adapters.redis.trading.commands import (
    KEPT_US,
    balance_command,
    event_commands,
    events_kept_commands,
    order_command,
    read_trade,
    state_commands,
    trade_command,
    trades_wanted,
)
from paceline.adapters.redis.trading.router_store import Command, FenceBroken, RouterStore, mark_commands
from paceline.adapters.runtime.retry import retrying
from paceline.core.times import MINUTE_US
from paceline.domain.operations.readers import OffsetRange, ReaderPosition, Record, check_reach
from paceline.messages.outbound import Effect
from stream.runtime.effect_batches import effect_batches
from stream.runtime.log_service import ReopenShard

_log = structlog.get_logger()

# Effects and outputs of one batch: those of about 500 orders.
_BATCH: Final = 2_000
_STORE_POSITION_EVERY_S: Final = 1.0
# The router waits for Redis without an end. While Redis is full or unavailable a restart would not help, and
# the watchdog opens an alert. The pauses are bounded.
_PATIENCE_S: Final = math.inf


class RouterShard:
    """Routes one shard's effects. The rebuilt state contains effects before `state_from` already."""

    def __init__(
        self,
        shard: int,
        store: RouterStore,
        position_session: WorkerConnection,
        standing: ReaderPosition,
        *,
        state_from: int,
        end: int,
    ) -> None:
        self._shard = shard
        self._store = store
        self._position_sessions = position_session
        self._standing = standing
        self._state_from = state_from
        self._ready_at_offset: int | None = end
        self._marks: deque[tuple[int, int]] = deque()
        self._stored_at = 0.0
        self._storing_position: asyncio.Task[None] | None = None

    @property
    def next_offset(self) -> int:
        return self._standing.offset

    async def load_marks(self) -> None:
        self._marks = deque(await self._store.marks(self._shard))

    async def handle(self, records: list[Record]) -> None:
        for effects, now in effect_batches(records, self._standing, _BATCH):
            await self._route(effects, now)

    async def _route(self, effects: list[Effect], now: ReaderPosition) -> None:
        try:
            await retrying(
                lambda: self._apply(effects, now),
                on=UNAVAILABLE_ERRORS,
                what="Redis for the router",
                patience_s=_PATIENCE_S,
            )
        except FenceBroken as error:
            raise ReopenShard(str(error)) from error
        self._standing = now

    async def _apply(self, effects: list[Effect], now: ReaderPosition) -> None:
        wanted = sorted(trades_wanted([e for e in effects if e.position >= self._state_from]))
        found = await self._store.fields([(keys.trades(account), trade) for account, trade in wanted])
        trades = {trade.trade: trade for trade in map(read_trade, filter(None, found))}
        first_kept, commands = self._retention(effects[-1]) if effects else (0, [])
        try:
            for effect in effects:
                if effect.position >= self._state_from:
                    commands.extend(state_commands(effect, trades))
                commands.extend(event_commands(effect))
            commands.extend(events_kept_commands(effects, first_kept))
        except KeyError as missing:
            await self._store.forget(self._shard)
            raise FenceBroken(f"trade {missing} is not in Redis") from missing
        await self._store.apply(self._shard, self._standing, now, commands)

    def _retention(self, last: Effect) -> tuple[int, list[Command]]:
        """The first position still kept, and the commands that note the time of this position."""
        oldest_us = last.time - KEPT_US
        while len(self._marks) > 1 and self._marks[1][0] <= oldest_us:
            self._marks.popleft()
        first_kept = self._marks[0][1] if self._marks and self._marks[0][0] <= oldest_us else 0
        if self._marks and last.time - self._marks[-1][0] < MINUTE_US:
            return first_kept, []
        self._marks.append((last.time, last.position))
        return first_kept, mark_commands(self._shard, last.time, last.position, oldest_us - MINUTE_US)

    async def tick(self) -> None:
        if self._ready_at_offset is not None and self._standing.offset >= self._ready_at_offset:
            await retrying(
                lambda: self._store.mark_ready(self._shard),
                on=UNAVAILABLE_ERRORS,
                what="Redis for the router",
                patience_s=_PATIENCE_S,
            )
            self._ready_at_offset = None
        if self._storing_position is None and time.monotonic() - self._stored_at >= _STORE_POSITION_EVERY_S:
            self._storing_position = asyncio.create_task(self._store_position())
        elif self._storing_position is not None and self._storing_position.done():
            self._storing_position.result()
            self._storing_position = None

    async def _store_position(self) -> None:
        """Store in Postgres how far replies have gone. Replies do not wait for this, and do not need it."""
        now = self._standing
        try:
            await self._position_sessions.transaction(lambda c: readers.note(c, "router", self._shard, now))
        except POSTGRES_UNAVAILABLE_ERRORS as error:
            _log.warning("position not stored", shard=self._shard, error=str(error).strip()[:300])
        self._stored_at = time.monotonic()

    async def close(self) -> None:
        if self._storing_position is not None:
            await self._storing_position
        await self._store_position()

    def health(self) -> dict[str, Any]:
        return {
            "next_position": self._standing.position,
            "next_offset": self._standing.offset,
            "ready": self._ready_at_offset is None,
        }


class RouterOpener:
    """Opens the router's shards: at the position in Redis, or rebuilt at the writer's position."""

    def __init__(self, database_url: str, cache_url: str, shards: int) -> None:
        self._session = WorkerConnection(database_url, "paceline-router")
        self._database_url = database_url
        self._position_sessions: dict[int, WorkerConnection] = {}
        self._client = connect(cache_url)
        self._store = RouterStore(self._client, shards)
        self._shards = shards

    async def start(self) -> None:
        await self._session.transaction(lambda c: installation.ensure_shards(c, self._shards))

    async def open(self, shard: int, bounds: OffsetRange) -> RouterShard:
        opened = await retrying(
            lambda: self._open(shard, bounds),
            on=(*UNAVAILABLE_ERRORS, FenceBroken),
            what="Redis for the router",
            patience_s=_PATIENCE_S,
        )
        check_reach("router", shard, ReaderPosition(0, opened.next_offset), bounds.begin, bounds.end)
        return opened

    async def _open(self, shard: int, bounds: OffsetRange) -> RouterShard:
        standing, state_from = await self._store.standing(shard) or await self._rebuild(shard)
        position_session = self._position_sessions.setdefault(
            shard, WorkerConnection(self._database_url, "paceline-router", patience_s=0.5)
        )
        opened = RouterShard(
            shard, self._store, position_session, standing, state_from=state_from, end=bounds.end
        )
        await opened.load_marks()
        return opened

    async def _rebuild(self, shard: int) -> tuple[ReaderPosition, int]:
        """Write the state in Postgres to Redis. Returns where to go on, and the position from which effects
        change the state."""
        for reader in ("router", "writer"):
            await self._session.transaction(lambda c, reader=reader: readers.load(c, reader, shard))  # type: ignore[misc]
        writer, own, commands = await self._session.transaction(lambda c: _read_state(c, shard))
        start = min(writer, own, key=lambda standing: standing.position)
        await self._store.rebuild(shard, start, writer.position, commands)
        _log.info("Redis rebuilt", shard=shard, commands=len(commands), position=writer.position)
        return start, writer.position

    async def stop(self) -> None:
        await self._session.close()
        for session in self._position_sessions.values():
            await session.close()
        await self._client.aclose()


async def _read_state(
    connection: Connection, shard: int
) -> tuple[ReaderPosition, ReaderPosition, list[Command]]:
    """How far writer and router have come, and the commands for the writer's state: one consistent read."""
    await connection.execute("set transaction isolation level repeatable read")
    own = await readers.read(connection, "router", shard)
    writer = await readers.read(connection, "writer", shard)
    commands: list[Command] = []
    for position, ordinal, update in await history.current_balances(connection, shard):
        commands.append(("DEL", keys.trades(update.account), keys.orders(update.account)))
        commands.append(balance_command(update, position, ordinal))
    commands.extend(trade_command(trade) for trade in await history.open_trades(connection, shard))
    for position, time_us, order, message in await history.resting_orders(connection, shard):
        commands.append(order_command(message, order, time_us, position))
    return writer, own, commands
