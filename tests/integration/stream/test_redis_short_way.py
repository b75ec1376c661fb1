"""The direct Redis client: after any failure, no caller gets the answer to another caller's command."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import redis
from redis.exceptions import OutOfMemoryError, ResponseError
from redis.exceptions import TimeoutError as NoAnswer

from paceline.adapters.redis.client import UNAVAILABLE_ERRORS, AsyncRedis, connect
from tests.support.waiting import until

KEY = "short_way"


@pytest.fixture
def server(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url) as opened:
        yield opened
        opened.client_unpause()
        opened.delete(KEY)


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[AsyncRedis]:
    opened = connect(f"{redis_url}?socket_timeout=0.2&client_name={KEY}")
    yield opened
    await opened.aclose()


def connections(server: Any) -> list[str]:
    return [found["id"] for found in server.client_list() if found["name"] == KEY]


async def start_blocking_command(client: AsyncRedis, server: Any) -> asyncio.Task[list[Any]]:
    """Send a command that Redis does not answer; return its task."""
    task = asyncio.create_task(client.ask(("BLPOP", KEY, 0)))
    await until(lambda: server.info("clients")["blocked_clients"] > 0)
    return task


async def test_answers_come_in_the_order_of_their_commands(client: AsyncRedis, server: Any) -> None:
    assert await client.ask(("SET", KEY, b"\x00\xff"), ("GET", KEY), ("STRLEN", KEY)) == [
        b"OK",
        b"\x00\xff",
        2,
    ]


async def test_sequential_commands_share_one_connection(client: AsyncRedis, server: Any) -> None:
    for _ in range(5):
        await client.ask(("ECHO", "own"))
    assert len(connections(server)) == 1
    assert sorted(await asyncio.gather(*(client.ask(("ECHO", str(n))) for n in range(3)))) == [
        [b"0"],
        [b"1"],
        [b"2"],
    ]
    assert len(connections(server)) == 3
    await client.aclose()
    assert connections(server) == []


async def test_an_error_in_a_pipeline_leaves_no_unread_answer(client: AsyncRedis, server: Any) -> None:
    with pytest.raises(ResponseError):
        await client.ask(("SET", KEY, "text"), ("INCR", KEY), ("ECHO", "another's"))
    assert await client.ask(("ECHO", "own")) == [b"own"]


async def test_a_broken_connection_raises_an_unavailable_error(client: AsyncRedis, server: Any) -> None:
    task = await start_blocking_command(client, server)
    server.client_kill_filter(_id=connections(server)[0])
    with pytest.raises(UNAVAILABLE_ERRORS):
        await task
    assert await client.ask(("ECHO", "own")) == [b"own"]


async def test_a_hanging_redis_raises_an_unavailable_error(client: AsyncRedis, server: Any) -> None:
    await client.ask(("ECHO", "connected"))
    server.client_pause(60_000, all=False)
    with pytest.raises(NoAnswer, match=r"within 0\.2 s") as caught:
        await client.ask(("SET", KEY, "late"))
    assert isinstance(caught.value, UNAVAILABLE_ERRORS)
    server.client_unpause()
    assert await client.ask(("ECHO", "own")) == [b"own"]


async def test_a_full_redis_raises_an_unavailable_error(client: AsyncRedis, server: Any) -> None:
    usual = server.config_get("maxmemory")["maxmemory"]
    server.config_set("maxmemory", "100kb")
    try:
        with pytest.raises(OutOfMemoryError) as caught:
            await client.ask(("SET", KEY, "text"))
    finally:
        server.config_set("maxmemory", usual)
    assert isinstance(caught.value, UNAVAILABLE_ERRORS)
    assert await client.ask(("SET", KEY, "text")) == [b"OK"]


async def test_a_cancelled_command_leaves_no_unread_answer(client: AsyncRedis, server: Any) -> None:
    task = await start_blocking_command(client, server)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    server.rpush(KEY, "another's")
    assert await client.ask(("ECHO", "own")) == [b"own"]


async def test_one_dead_connection_closes_all_idle_ones(client: AsyncRedis, server: Any) -> None:
    """After a restart of Redis all idle connections are dead: only the next command fails."""
    await asyncio.gather(*(client.ask(("BLPOP", f"nothing-{number}", "0.05")) for number in range(5)))
    assert len(connections(server)) == 5
    for found in connections(server):
        server.client_kill_filter(_id=found)
    with pytest.raises(UNAVAILABLE_ERRORS):
        await client.ask(("PING",))
    assert [await client.ask(("PING",)) for _ in range(5)] == [[b"PONG"]] * 5
