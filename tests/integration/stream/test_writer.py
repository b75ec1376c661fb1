"""The writer on a real Postgres: every effect is stored once, despite repeats, takeovers and failures."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import psycopg
import pytest

from paceline.adapters.postgres.numbers import from_numeric
from paceline.adapters.postgres.trading import history
from paceline.core.errors import PermanentError
from paceline.messages.inbound import Deposit, OpenAccount, PriceUpdate
from paceline.messages.outbound import BalanceUpdate, ClosedOrder, OrderResponse
from stream.runtime.log_service import ReopenShard
from stream.writer.service import WriterOpener, WriterShard
from tests.support.scenario_log import Day, LogRecord, bounds_of, day, scenario_messages
from tests.support.servers import as_role

TABLES = ("markets", "instructions", "accounts", "deposits", "trade_changes", "closed_orders", "balances")


@pytest.fixture(scope="module")
def busy() -> Day:
    return day(scenario_messages(seed=0, length=1500))


@pytest.fixture
def database(fresh_database: Callable[[], str]) -> str:
    return fresh_database()


@pytest.fixture
async def writer(database: str) -> AsyncIterator[WriterOpener]:
    opened = WriterOpener(as_role(database, "writer"), shards=4)
    yield opened
    await opened.stop()


def rows_of(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()  # type: ignore[call-overload]


def all_rows(url: str) -> dict[str, list[tuple[Any, ...]]]:
    return {table: sorted(rows_of(url, f"select * from engine.{table}"), key=repr) for table in TABLES}


async def store(shard: WriterShard, records: list[LogRecord]) -> None:
    """One round of the service."""
    await shard.handle(records)
    await shard.tick()


async def write(writer: WriterOpener, records: list[LogRecord], end: int | None = None) -> None:
    shard = await writer.open(0, bounds_of(records))
    todo = records[shard.next_offset : end]
    if todo:
        await store(shard, todo)


async def test_closed_orders_and_balances_match_the_engine(
    writer: WriterOpener, database: str, busy: Day
) -> None:
    await write(writer, busy.records(20))
    closed = {
        (row[0], row[1]): [None if n is None else from_numeric(n) for n in row[2:]]
        for row in rows_of(
            database,
            "select position, ordinal, quantity, entry, exit, profit, fee, margin, remaining "
            "from engine.closed_orders",
        )
    }
    expected = {
        (effect.position, ordinal): [o.quantity, o.entry, o.exit, o.profit, o.fee, o.margin, o.remaining]
        for effect in busy.effects
        for ordinal, o in enumerate(effect.outputs)
        if isinstance(o, ClosedOrder)
    }
    assert len(expected) > 50
    assert closed == expected
    balances = rows_of(database, "select account, cash, margin, locked from engine.current_balances")
    for account, *money in balances:
        held = busy.engine.account_view(account)
        assert held is not None
        assert [from_numeric(amount) for amount in money] == [held.cash, held.margin, held.locked]
    assert len(balances) == busy.engine.stats().accounts


async def test_each_output_has_a_row_and_each_instruction_an_answer(
    writer: WriterOpener, database: str, busy: Day
) -> None:
    await write(writer, busy.records(7))
    outputs = Counter(type(o) for effect in busy.effects for o in effect.outputs)
    counts = dict(
        rows_of(
            database,
            "select 'closed', count(*) from engine.closed_orders union all "
            "select 'balances', count(*) from engine.balances union all "
            "select 'answered', count(*) from engine.instructions where response is not null",
        )
    )
    assert counts == {
        "closed": outputs[ClosedOrder],
        "balances": outputs[BalanceUpdate],
        "answered": outputs[OrderResponse],
    }


async def test_open_trades_and_their_levels_match_the_engine(writer: WriterOpener, database: str) -> None:
    crowded = day(scenario_messages(seed=7, length=800))
    await write(writer, crowded.records(20))
    with psycopg.connect(database) as connection:
        found = connection.execute(
            "select trade, leverage, remaining_quantity, remaining_margin, entry_price, liquidation, "
            "stop_loss, take_profit, trailing_stop from engine.open_trades"
        ).fetchall()
    stored = {
        trade: [leverage, *(None if n is None else from_numeric(n) for n in rest)]
        for trade, leverage, *rest in found
    }
    live = {
        t.id: [
            *(t.leverage, t.quantity, t.margin, t.entry, t.liquidation),
            *(t.stop_loss, t.take_profit, t.trailing_stop),
        ]
        for t in crowded.engine.open_trades()
    }
    assert len(live) > 10
    assert stored == live


async def test_deposits_sum_to_the_external_ledger_account(
    writer: WriterOpener, database: str, busy: Day
) -> None:
    await write(writer, busy.records(20))
    [(total,)] = rows_of(database, "select sum(amount) from engine.deposits")
    assert from_numeric(total) == -busy.engine.ledger()["USD"]["external"]


async def test_reading_from_the_start_again_gives_the_same_rows(
    writer: WriterOpener, database: str, busy: Day
) -> None:
    records = busy.records(20)
    await write(writer, records)
    before = all_rows(database)
    with psycopg.connect(database) as connection:
        connection.execute("update engine.readers set next_position = 0, next_offset = 0")
    await write(writer, records)
    assert all_rows(database) == before


async def test_batch_size_does_not_change_the_rows(
    fresh_database: Callable[[], str], database: str, busy: Day
) -> None:
    url = fresh_database()
    once, other = (
        WriterOpener(as_role(database, "writer"), shards=4),
        WriterOpener(as_role(url, "writer"), shards=4),
    )
    records = busy.records(20)
    await write(once, records)
    for end in range(3, len(records) + 3, 3):
        await write(other, records, end)
    assert all_rows(database) == all_rows(url)
    await once.stop()
    await other.stop()


async def test_an_effect_written_by_two_engines_is_stored_once(
    writer: WriterOpener, database: str, busy: Day
) -> None:
    records = busy.records(20)
    await write(writer, records)
    before = all_rows(database)
    doubled = [LogRecord(at, r.value) for at, r in enumerate(r for r in records for _ in range(2))]
    with psycopg.connect(database) as connection:
        connection.execute("update engine.readers set next_position = 0, next_offset = 0")
        connection.execute("truncate " + ", ".join(f"engine.{table}" for table in TABLES))
    await write(writer, doubled)
    assert all_rows(database) == before


async def test_the_slower_of_two_writers_gets_reopen(writer: WriterOpener, database: str, busy: Day) -> None:
    records = busy.records(20)
    other = WriterOpener(as_role(database, "writer"), shards=4)
    first = await writer.open(0, bounds_of(records))
    second = await other.open(0, bounds_of(records))
    await store(second, records[:5])
    await other.stop()
    before = all_rows(database)
    with pytest.raises(ReopenShard):
        await store(first, records[:3])
    assert first.health()["next_offset"] == 0
    assert all_rows(database) == before
    await write(writer, records)
    assert len(all_rows(database)["closed_orders"]) > len(before["closed_orders"])


async def test_a_round_of_all_shards_is_one_transaction(writer: WriterOpener, database: str) -> None:
    days = [day(scenario_messages(seed=shard, length=300), shard) for shard in range(4)]
    logs = [one.records(20) for one in days]
    shards = [await writer.open(shard, bounds_of(log)) for shard, log in enumerate(logs)]
    for shard, log in zip(shards, logs, strict=True):
        await shard.handle(log)
    assert not any(all_rows(database).values())
    for shard in shards:
        await shard.tick()
    assert [shard.health()["next_offset"] for shard in shards] == [len(log) for log in logs]
    stored = rows_of(
        database, "select shard, count(*) from engine.instructions group by shard order by shard"
    )
    expected = [sum(not isinstance(e.message, PriceUpdate) for e in one.effects) for one in days]
    assert stored == list(enumerate(expected))
    of_rows = "select xmin::text from engine.instructions union select xmin::text from engine.readers"
    assert len(rows_of(database, of_rows)) == 1


async def test_a_shard_taken_by_another_writer_does_not_block_other_shards(
    writer: WriterOpener, database: str
) -> None:
    logs = [day(scenario_messages(seed=shard, length=300), shard).records(20) for shard in range(2)]
    lost, kept = [await writer.open(shard, bounds_of(log)) for shard, log in enumerate(logs)]
    with psycopg.connect(database) as connection:
        connection.execute("update engine.readers set next_position = 1, next_offset = 1 where shard = 0")
    await lost.handle(logs[0])
    await kept.handle(logs[1])
    with pytest.raises(ReopenShard, match="shard 0"):
        await lost.tick()
    await kept.tick()
    assert rows_of(database, "select distinct shard from engine.instructions") == [(1,)]
    # Rows that were prepared before the loss are dropped when the shard is opened again.
    with pytest.raises(ReopenShard):
        await lost.handle(logs[0])
    reopened = await writer.open(0, bounds_of(logs[0]))
    assert reopened.next_offset == 1
    await store(reopened, logs[0][1:])
    assert kept.health()["next_offset"] == len(logs[1])
    assert reopened.health()["next_offset"] == len(logs[0])


async def test_a_failed_batch_stores_nothing(writer: WriterOpener, database: str, busy: Day) -> None:
    records = busy.records(20)
    shard = await writer.open(0, bounds_of(records))
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("alter table engine.balances add constraint none_yet check (position < 100)")
        with pytest.raises(psycopg.errors.CheckViolation):
            await store(shard, records)
        assert rows_of(database, "select next_position from engine.readers") == [(0,)]
        assert not any(all_rows(database).values())
        connection.execute("alter table engine.balances drop constraint none_yet")
    await write(writer, records)
    assert all_rows(database)["closed_orders"]


async def test_a_log_that_ends_before_the_writer_is_refused(
    writer: WriterOpener, database: str, busy: Day
) -> None:
    records = busy.records(20)
    await write(writer, records)
    with pytest.raises(PermanentError, match="of different installations"):
        await writer.open(0, bounds_of(records[:3]))


async def test_trades_are_restored_from_their_events(writer: WriterOpener, database: str, busy: Day) -> None:
    records = busy.records(20)
    await write(writer, records)
    async with await psycopg.AsyncConnection.connect(database) as connection:
        trades = {trade.trade: trade for trade in await history.open_trades(connection, 0)}
        past = await history.trades_before(connection, list(trades), busy.engine.position)
    assert past == trades


async def test_trade_events_and_open_trades_match_the_engine(
    writer: WriterOpener, database: str, busy: Day
) -> None:
    """Closings are stored only in `closed_orders`; the views combine them with `trade_changes`."""
    await write(writer, busy.records(20))
    events: dict[str, list[tuple[str, int]]] = {}
    for trade, event, left in rows_of(
        database,
        "select trade, event, remaining_quantity from engine.trade_events order by position, ordinal",
    ):
        events.setdefault(trade, []).append((event, from_numeric(left)))
    open_now = {
        trade: (account, *map(from_numeric, numbers), stop_loss and from_numeric(stop_loss))
        for trade, account, *numbers, stop_loss in rows_of(
            database,
            "select trade, account, remaining_quantity, remaining_margin, stop_loss from engine.open_trades",
        )
    }
    assert open_now == {
        trade.id: (trade.account, trade.quantity, trade.margin, trade.stop_loss)
        for trade in busy.engine.open_trades()
    }
    assert open_now
    assert {name for life in events.values() for name, _ in life} == {
        "opened",
        "amended",
        "reduced",
        "closed",
    }
    for trade, life in events.items():
        first, *between = [event for event, _ in life]
        assert first == "opened"
        assert between.count("closed") == (trade not in open_now)
        assert "closed" not in between[:-1]
        if trade in open_now:
            assert life[-1][1] == open_now[trade][1]
        else:
            assert life[-1] == ("closed", 0)


async def test_amounts_beyond_64_bits_are_stored_exactly(writer: WriterOpener, database: str) -> None:
    amount = 10**19
    deposits = [Deposit(f"d{n}", 1, "rich", amount) for n in range(3)]
    rich = day([OpenAccount("o", 1, "rich", amount), *deposits])
    await write(writer, rich.records(2))
    [(stored,)] = rows_of(database, "select cash from engine.current_balances")
    assert from_numeric(stored) == 4 * amount > 2**64


async def test_a_lost_connection_loses_no_rows(
    writer: WriterOpener, database: str, fresh_database: Callable[[], str], busy: Day
) -> None:
    records = busy.records(20)
    url = fresh_database()
    undisturbed = WriterOpener(as_role(url, "writer"), shards=4)
    await write(undisturbed, records)
    await undisturbed.stop()
    shard = await writer.open(0, bounds_of(records))
    writing = asyncio.create_task(store(shard, records[:10]))
    with psycopg.connect(database, autocommit=True) as connection:
        for _ in range(3):
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where application_name = 'paceline-writer' and datname = current_database()"
            )
            await asyncio.sleep(0.01)
    # If the answer to a commit was lost, the stored rows are found when the shard is opened again.
    with suppress(ReopenShard):
        await writing
    await write(writer, records)
    assert all_rows(database) == all_rows(url)
