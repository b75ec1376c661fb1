"""The router on real Redis and Postgres: it keeps the engine's state in Redis and rebuilds it when lost."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import msgspec
import pytest
import redis

from paceline.adapters.redis.keys import REPLIES
from paceline.adapters.redis.trading.commands import MAX_EVENTS
from paceline.core.money import parse_decimal
from paceline.messages.inbound import CloseTrade, OpenAccount
from paceline.messages.outbound import OrderResponse
from stream.router.service import RouterOpener
from stream.runtime.log_service import ReopenShard
from tests.support.scenario_log import Day, LogRecord, bounds_of, day, scenario_messages
from tests.support.servers import as_role
from tests.support.sinks import route, write

SHARDS = 1

Replies = Callable[[], list[tuple[str, str]]]


@pytest.fixture(scope="module")
def busy() -> Day:
    return day(scenario_messages(seed=7, length=700))


@pytest.fixture(scope="module")
def records(busy: Day) -> list[LogRecord]:
    return busy.records(10)


@pytest.fixture
def database(fresh_database: Callable[[], str]) -> str:
    return fresh_database()


@pytest.fixture
def cache(redis_url: str) -> Any:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        client.flushall()
        yield client


@pytest.fixture
def replies(cache: Any) -> Iterator[Replies]:
    """Returns `(account, instruction)` of the answers published since the last call."""
    with cache.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe(REPLIES)
        while listener.get_message(timeout=0.2):
            pass

        def published() -> list[tuple[str, str]]:
            found = []
            while (message := listener.get_message(timeout=0.2)) is not None:
                answer = msgspec.json.decode(message["data"])
                found.append((answer["account"], answer["instruction"]))
            return found

        yield published


@pytest.fixture
async def router(database: str, redis_url: str, cache: Any) -> AsyncIterator[RouterOpener]:
    opened = RouterOpener(as_role(database, "writer"), redis_url, SHARDS)
    yield opened
    await opened.stop()


@pytest.fixture
async def again(database: str, redis_url: str, cache: Any) -> AsyncIterator[RouterOpener]:
    """Another router of the same shard."""
    opened = RouterOpener(as_role(database, "writer"), redis_url, SHARDS)
    yield opened
    await opened.stop()


def account_keys(cache: Any) -> dict[str, Any]:
    """Balances, trades and orders in Redis."""
    found: dict[str, Any] = {}
    for key in sorted(cache.keys("*")):
        kind = key.partition(":")[0]
        if kind == "balance":
            found[key] = cache.get(key)
        elif kind in ("trades", "orders"):
            found[key] = cache.hgetall(key)
    return found


def scaled(fields: dict[str, Any], *names: str) -> list[int | None]:
    return [None if fields[name] is None else parse_decimal(fields[name]) for name in names]


def check_against_engine(cache: Any, busy: Day) -> None:
    """Assert that the account state in Redis equals that of the engine."""
    for account in busy.engine.accounts():
        fields = msgspec.json.decode(cache.get(f"balance:{account.name}"))
        assert scaled(fields, "cash", "margin", "locked") == [account.cash, account.margin, account.locked]
    trades = {t.id: t for t in busy.engine.open_trades()}
    orders = {o.id: o for o in busy.engine.resting_orders()}
    assert len(trades) > 10
    assert len(orders) > 10
    names = ("entry", "quantity", "margin", "stop_loss", "take_profit", "trailing_stop", "liquidation")
    found_trades = all_fields(cache, "trades")
    assert found_trades.keys() == trades.keys()
    for trade, fields in found_trades.items():
        assert scaled(fields, *names) == [getattr(trades[trade], name) for name in names]
        assert fields["opened"] == trades[trade].opened
    found_orders = all_fields(cache, "orders")
    assert found_orders.keys() == orders.keys()
    for order, fields in found_orders.items():
        assert scaled(fields, "quantity", "price", "distance") == [
            orders[order].quantity,
            None if orders[order].distance is not None else orders[order].price,
            orders[order].distance,
        ]


def all_fields(cache: Any, kind: str) -> dict[str, Any]:
    return {
        field: msgspec.json.decode(text)
        for key in cache.keys(f"{kind}:*")
        for field, text in cache.hgetall(key).items()
    }


def answered(busy: Day, first: int = 0) -> list[tuple[str, str]]:
    """`(account, instruction)` of all answers of the engine from the effect `first` on, in order."""
    outputs = [output for effect in busy.effects[first:] for output in effect.outputs]
    return [(one.account, one.instruction) for one in outputs if isinstance(one, OrderResponse)]


async def test_redis_holds_the_state_of_the_engine(
    router: RouterOpener, cache: Any, busy: Day, records: list[LogRecord]
) -> None:
    await route(router, records)
    check_against_engine(cache, busy)
    assert cache.get("router:ready") == "1"


async def test_each_instruction_has_one_reply(
    router: RouterOpener, busy: Day, records: list[LogRecord], replies: Replies
) -> None:
    await route(router, records)
    assert replies() == answered(busy)


async def test_events_of_an_account_are_in_its_stream_in_order(
    router: RouterOpener, cache: Any, busy: Day, records: list[LogRecord]
) -> None:
    await route(router, records)
    for account in {o.account for e in busy.effects for o in e.outputs}:
        ids = [o.id for e in busy.effects for o in e.outputs if o.account == account]
        stream = cache.xrange(f"events:{account}")
        assert [msgspec.json.decode(entry["json"])["id"] for _, entry in stream] == ids
        assert 0 < cache.ttl(f"events:{account}") <= 86_400


async def test_a_message_at_position_0_has_its_events(router: RouterOpener, cache: Any) -> None:
    first = day([OpenAccount("o", 1, "early", 100)])
    await route(router, first.records(1))
    assert [entry for entry, _ in cache.xrange("events:early")] == ["0-1", "0-2"]


async def test_a_restarted_router_repeats_nothing(
    again: RouterOpener, cache: Any, router: RouterOpener, records: list[LogRecord], replies: Replies
) -> None:
    await route(router, records, end=30)
    before = account_keys(cache)
    assert replies()
    shard = await again.open(0, bounds_of(records))
    assert shard.next_offset == 30
    assert account_keys(cache) == before
    assert replies() == []


async def test_a_slower_router_cannot_overwrite_newer_state(
    router: RouterOpener, database: str, redis_url: str, cache: Any, busy: Day
) -> None:
    records = busy.records(10)
    slow = await router.open(0, bounds_of(records))
    other = RouterOpener(as_role(database, "writer"), redis_url, SHARDS)
    await route(other, records)
    with pytest.raises(ReopenShard):
        await slow.handle(records[:3])
    check_against_engine(cache, busy)
    await other.stop()


@pytest.mark.parametrize("written", [0, 17, 40, 60], ids=lambda n: f"writer_at_{n}")
async def test_a_flushed_redis_is_rebuilt_while_running(
    router: RouterOpener, database: str, cache: Any, busy: Day, written: int
) -> None:
    records = busy.records(10)
    await write(database, records, written)
    shard = await route(router, records, end=40)
    cache.flushall()
    with pytest.raises(ReopenShard):
        await shard.handle(records[40:42])
    await route(router, records)
    check_against_engine(cache, busy)
    assert cache.get("router:ready") == "1"


async def test_replies_missed_during_a_loss_of_redis_are_published(
    router: RouterOpener, database: str, cache: Any, busy: Day, replies: Replies
) -> None:
    records = busy.records(10)
    await route(router, records, end=20)
    replies()
    cache.flushall()
    await write(database, records, len(records))
    await route(router, records)
    waiting = answered(busy, first=20 * 10)
    assert replies()[-len(waiting) :] == waiting
    check_against_engine(cache, busy)


async def test_a_trade_missing_in_redis_causes_a_rebuild(
    router: RouterOpener, database: str, cache: Any, busy: Day, records: list[LogRecord]
) -> None:
    await route(router, records, end=30)
    await write(database, records, 25)
    for key in cache.keys("trades:*"):
        cache.delete(key)
    await route(router, records)
    check_against_engine(cache, busy)


async def test_events_older_than_a_day_are_trimmed(router: RouterOpener, cache: Any) -> None:
    hour_us = 3_600_000_000
    accounts = [OpenAccount(f"o{hour}", 1 + hour * hour_us, "a", 1) for hour in range(200)]
    await route(router, day(accounts).records(1), step=1)
    kept = [int(entry.partition("-")[0]) for entry, _ in cache.xrange("events:a")]
    # Redis trims whole blocks of about a hundred entries, so a few older ones stay.
    assert kept[-1] == 199
    assert 0 < kept[0] <= 199 - 24


async def test_a_stream_keeps_the_newest_events_only(router: RouterOpener, cache: Any) -> None:
    """All events are of one minute: only the length bounds them."""
    refused = [CloseTrade(f"c{number}", 2, "a", "0:0:0") for number in range(3 * MAX_EVENTS)]
    await route(router, day([OpenAccount("o", 1, "a", 1), *refused]).records(100))
    last = cache.xrevrange("events:a", count=1)[0][0]
    assert last == f"{3 * MAX_EVENTS}-0"
    # Redis trims whole blocks of about a hundred entries.
    assert MAX_EVENTS <= cache.xlen("events:a") <= MAX_EVENTS + 100
    assert cache.memory_usage("events:a", samples=0) < 500 * MAX_EVENTS


async def test_the_router_waits_while_redis_is_full(
    router: RouterOpener, cache: Any, busy: Day, records: list[LogRecord], replies: Replies
) -> None:
    shard = await router.open(0, bounds_of(records))
    await shard.handle(records[:4])
    before = account_keys(cache)
    replies()
    usual = cache.config_get("maxmemory")["maxmemory"]
    cache.config_set("maxmemory", "100kb")
    try:
        handling = asyncio.create_task(shard.handle(records[4:8]))
        await asyncio.sleep(0.5)
        assert not handling.done()
        assert account_keys(cache) == before
        assert replies() == []
    finally:
        cache.config_set("maxmemory", usual)
    await handling
    await shard.close()
    await route(router, records)
    check_against_engine(cache, busy)


async def test_the_router_opens_a_shard_once_redis_takes_writes(
    router: RouterOpener, database: str, cache: Any, busy: Day, records: list[LogRecord]
) -> None:
    await write(database, records, 30)
    usual = cache.config_get("maxmemory")["maxmemory"]
    cache.config_set("maxmemory", "100kb")
    try:
        opening = asyncio.create_task(router.open(0, bounds_of(records)))
        await asyncio.sleep(0.5)
        assert not opening.done()
    finally:
        cache.config_set("maxmemory", usual)
    await (await opening).close()
    await route(router, records)
    check_against_engine(cache, busy)


async def test_the_router_waits_for_a_briefly_unavailable_redis(
    router: RouterOpener, cache: Any, busy: Day, records: list[LogRecord]
) -> None:
    task = asyncio.create_task(route(router, records))
    for _ in range(5):
        await asyncio.sleep(0.02)
        cache.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await task
    check_against_engine(cache, busy)


async def test_the_router_waits_for_a_briefly_hanging_redis(
    database: str, redis_url: str, cache: Any, busy: Day, records: list[LogRecord]
) -> None:
    router = RouterOpener(as_role(database, "writer"), f"{redis_url}?socket_timeout=0.2", SHARDS)
    shard = await router.open(0, bounds_of(records))
    await shard.handle(records[:2])
    cache.client_pause(500, all=False)
    await shard.handle(records[2:4])
    await shard.close()
    await route(router, records)
    check_against_engine(cache, busy)
    await router.stop()


async def test_a_flushed_script_is_loaded_again(
    router: RouterOpener, cache: Any, busy: Day, records: list[LogRecord]
) -> None:
    shard = await router.open(0, bounds_of(records))
    for start in range(0, len(records), 10):
        cache.script_flush()
        await shard.handle(records[start : start + 10])
    await shard.close()
    check_against_engine(cache, busy)
