"""`market.bars`: one-minute bars, stored part by part with the position of their reader."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from psycopg import sql

from paceline.adapters.postgres import readers
from paceline.adapters.postgres.connections.connect import Connection, connect
from paceline.adapters.postgres.connections.unavailable import UNAVAILABLE_ERRORS
from paceline.adapters.postgres.connections.worker import WorkerConnection
from paceline.adapters.postgres.numbers import to_numeric
from paceline.adapters.postgres.readers import Move
from paceline.core.errors import TransientError
from paceline.domain.market.bars import PRICE_SHARD, Bar
from paceline.domain.operations.readers import ReaderPosition
from paceline.ports.market import BarDraft, StoredBars

T = TypeVar("T")

_COLUMNS: Final = sql.SQL(
    "symbol, minute_us, bid_open, bid_high, bid_low, bid_close, ask_open, ask_high, ask_low, ask_close, "
    "updates, last_update_id"
)
# A part whose last update id is not above the stored one was merged before: repeating it changes nothing.
_ON_CONFLICT: Final = sql.SQL("""
on conflict (symbol, minute_us) do update set
    bid_high = greatest(kept.bid_high, excluded.bid_high),
    bid_low = least(kept.bid_low, excluded.bid_low),
    bid_close = excluded.bid_close,
    ask_high = greatest(kept.ask_high, excluded.ask_high),
    ask_low = least(kept.ask_low, excluded.ask_low),
    ask_close = excluded.ask_close,
    updates = kept.updates + excluded.updates,
    last_update_id = excluded.last_update_id
where excluded.last_update_id > kept.last_update_id
""")
_BARS: Final = sql.Identifier("market", "bars")
_DRAFT: Final = sql.Identifier("rebuilt_bars")
_MERGE: Final = sql.SQL(
    "insert into {} as kept ({}) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) {}"
)
_MERGE_DRAFT: Final = sql.SQL("insert into {} as kept select {} from {} {}").format(
    _BARS, _COLUMNS, _DRAFT, _ON_CONFLICT
)
_LAST_IDS: Final = "select symbol, max(last_update_id) from market.bars where minute_us <= %s group by symbol"
_FOREVER_US: Final = 2**63 - 1
_PATIENCE_S: Final = 120.0


class PostgresBars:
    """Waits `patience_s` for a Postgres that cannot be reached."""

    def __init__(self, url: str, patience_s: float = _PATIENCE_S) -> None:
        self._url = url
        self._session = WorkerConnection(url, "paceline-bars", patience_s=patience_s)

    async def load(self) -> StoredBars:
        async def work(connection: Connection) -> StoredBars:
            at = await readers.load(connection, "bars", PRICE_SHARD)
            return StoredBars(at, await _last_ids(connection, _FOREVER_US))

        return await self._transaction(work)

    async def append(self, parts: Sequence[Bar], was: ReaderPosition, now: ReaderPosition) -> bool:
        async def work(connection: Connection) -> bool:
            if not await readers.advance(connection, "bars", {PRICE_SHARD: Move(was, now)}):
                return False
            await _merge(connection, _BARS, parts)
            return True

        return await self._transaction(work)

    async def last_update_ids(self, until_us: int) -> Mapping[str, int]:
        return await self._transaction(lambda connection: _last_ids(connection, until_us))

    @asynccontextmanager
    async def draft(self) -> AsyncIterator[BarDraft]:
        """In a temporary table, on a connection of its own: it is lost with the connection."""
        try:
            async with await connect(self._url, "paceline-bars-rebuild") as connection:
                await connection.execute(
                    "create temporary table rebuilt_bars (like market.bars including all)"
                )
                yield _Draft(connection)
        except UNAVAILABLE_ERRORS as error:
            raise _unavailable(error) from error

    async def close(self) -> None:
        await self._session.close()

    async def _transaction(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        try:
            return await self._session.transaction(work)
        except UNAVAILABLE_ERRORS as error:
            raise _unavailable(error) from error


class _Draft:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, parts: Sequence[Bar]) -> None:
        async with self._connection.transaction():
            await _merge(self._connection, _DRAFT, parts)

    async def replace(self, from_us: int | None, now: ReaderPosition) -> ReaderPosition | None:
        """The reader's row is locked until the end, so its process appends nothing in between, and opens its
        shard again afterwards."""
        connection = self._connection
        async with connection.transaction():
            await readers.load(connection, "bars", PRICE_SHARD)
            at = await readers.lock(connection, "bars", PRICE_SHARD)
            if at.offset > now.offset:
                return at
            await connection.execute("delete from market.bars where minute_us >= %s", (from_us or 0,))
            await connection.execute(_MERGE_DRAFT)
            await readers.advance(connection, "bars", {PRICE_SHARD: Move(at, now)})
        return None


async def _merge(connection: Connection, table: sql.Identifier, parts: Sequence[Bar]) -> None:
    if parts:
        async with connection.cursor() as cursor:
            merge = _MERGE.format(table, _COLUMNS, _ON_CONFLICT)
            await cursor.executemany(merge, [_row(part) for part in parts])


async def _last_ids(connection: Connection, until_us: int) -> dict[str, int]:
    cursor = await connection.execute(_LAST_IDS, (until_us,))
    return dict(await cursor.fetchall())


def _row(part: Bar) -> tuple[Any, ...]:
    bid, ask = part.bid, part.ask
    prices = (bid.open, bid.high, bid.low, bid.close, ask.open, ask.high, ask.low, ask.close)
    return (part.symbol, part.minute_us, *map(to_numeric, prices), part.updates, part.last_update_id)


def _unavailable(error: Exception) -> TransientError:
    return TransientError(f"Postgres does not store bars now: {str(error).strip()}")
