"""The refresh-ahead cache: values expire, are read once at a time, and are read again after `invalidate`."""

import asyncio
import time
from collections.abc import Callable

import greenback
import pytest

from paceline.adapters.runtime.awaiting import pause
from paceline.adapters.runtime.cache import RefreshAheadCache
from paceline.core.errors import TransientError

READ_S = 0.05


class Source:
    """Returns the number of the read after a delay; raises while `failing`, returns None while `gone`."""

    def __init__(self) -> None:
        self.readings = 0
        self.failing = False
        self.gone = False

    def __call__(self, _: str) -> int | None:
        self.readings += 1
        number = self.readings
        pause(READ_S)
        if self.failing:
            raise TransientError("unavailable")
        return None if self.gone else number


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the clock of the cache forward."""
    ahead_s = 0.0
    real = time.monotonic

    def move(seconds: float) -> None:
        nonlocal ahead_s
        ahead_s += seconds

    monkeypatch.setattr("paceline.adapters.runtime.cache.monotonic", lambda: real() + ahead_s)
    return move


def kept_of(source: Source, max_entries: int = 10) -> RefreshAheadCache[str, int | None]:
    return RefreshAheadCache(
        source, lambda value: value is not None, soft_ttl_s=10, hard_ttl_s=20, max_entries=max_entries
    )


async def ask(values: RefreshAheadCache[str, int | None], times: int = 1, key: str = "a") -> list[int | None]:
    """The results of `times` concurrent reads, each in its own task, as requests are."""
    asking = (greenback.with_portal_run_sync(values.get, key) for _ in range(times))
    return list(await asyncio.gather(*asking))


async def settle() -> None:
    await asyncio.sleep(3 * READ_S)


def test_a_fresh_value_is_not_read_again(source: Source, clock: Callable[[float], None]) -> None:
    values = kept_of(source)
    assert values.get("a") == 1
    clock(9)
    assert values.get("a") == 1
    assert source.readings == 1


def test_a_stale_value_is_returned_while_one_read_refreshes_it(
    source: Source, clock: Callable[[float], None]
) -> None:
    async def main() -> None:
        values = kept_of(source)
        await ask(values)
        clock(11)
        began_s = asyncio.get_running_loop().time()
        assert await ask(values, 5) == [1] * 5
        assert asyncio.get_running_loop().time() - began_s < READ_S
        await settle()
        assert await ask(values, 5) == [2] * 5
        assert source.readings == 2

    asyncio.run(main())


def test_an_expired_value_is_read_once_and_all_callers_wait(
    source: Source, clock: Callable[[float], None]
) -> None:
    async def main() -> None:
        values = kept_of(source)
        await ask(values)
        clock(21)
        assert await ask(values, 5) == [2] * 5
        assert source.readings == 2

    asyncio.run(main())


def test_a_thread_without_an_event_loop_refreshes_too(source: Source, clock: Callable[[float], None]) -> None:
    values = kept_of(source)
    values.get("a")
    clock(11)
    assert values.get("a") == 1
    time.sleep(3 * READ_S)
    assert values.get("a") == 2
    clock(21)
    assert values.get("a") == 3


def test_a_forgotten_value_is_read_again_even_during_a_read(
    source: Source, clock: Callable[[float], None]
) -> None:
    async def main() -> None:
        values = kept_of(source)
        first = asyncio.create_task(ask(values))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert source.readings == 1
        values.invalidate("a")
        await first
        assert await ask(values) == [2]
        clock(11)
        assert await ask(values) == [2]  # the third read has begun
        values.invalidate("a")
        assert await ask(values) == [4]
        await settle()
        assert await ask(values) == [4]

    asyncio.run(main())


def test_a_value_not_worth_caching_is_returned_after_the_refresh(
    source: Source, clock: Callable[[float], None]
) -> None:
    async def main() -> None:
        values = kept_of(source)
        await ask(values)
        source.gone = True
        clock(11)
        assert await ask(values) == [1]
        await settle()
        assert await ask(values, 3) == [None] * 3
        assert source.readings == 5  # a value that is not cached is read for each caller

    asyncio.run(main())


def test_a_failing_source_raises_only_after_the_value_expires(
    source: Source, clock: Callable[[float], None]
) -> None:
    async def main() -> None:
        values = kept_of(source)
        await ask(values)
        source.failing = True
        clock(11)
        assert await ask(values) == [1]
        await settle()
        clock(10)
        with pytest.raises(TransientError):
            await ask(values)
        source.failing = False
        assert await ask(values) == [4]

    asyncio.run(main())


def test_the_cache_is_bounded(source: Source) -> None:
    values = kept_of(source, max_entries=2)
    assert [values.get(key) for key in "abc"] == [1, 2, 3]
    assert [values.get(key) for key in "cab"] == [3, 4, 5]
