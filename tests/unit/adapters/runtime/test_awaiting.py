"""Asynchronous work for those who are not: on their own event loop if they have a portal, else beside it."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import greenback
import pytest

from paceline.adapters.runtime.awaiting import pause, wait_for


async def its_loop() -> asyncio.AbstractEventLoop:
    await asyncio.sleep(0)
    return asyncio.get_running_loop()


async def failing() -> None:
    raise KeyError("why")


def test_without_a_portal_one_loop_works_for_all_threads() -> None:
    with ThreadPoolExecutor(8) as threads:
        loops = list(threads.map(lambda _: wait_for(its_loop()), range(64)))
    assert len(set(loops)) == 1
    assert threading.current_thread().name != "awaiting"


def test_with_a_portal_the_own_loop_does_the_work() -> None:
    async def main() -> tuple[asyncio.AbstractEventLoop, asyncio.AbstractEventLoop]:
        return await greenback.with_portal_run_sync(wait_for, its_loop()), asyncio.get_running_loop()

    used, own = asyncio.run(main())
    assert used is own
    assert used is not wait_for(its_loop())


def test_what_fails_there_fails_here() -> None:
    async def main() -> None:
        with pytest.raises(KeyError, match="why"):
            await greenback.with_portal_run_sync(wait_for, failing())

    with pytest.raises(KeyError, match="why"):
        wait_for(failing())
    asyncio.run(main())


def test_a_pause_lets_others_go_on() -> None:
    async def main() -> list[str]:
        told: list[str] = []

        def slow() -> None:
            pause(0.1)
            told.append("slow")

        async def quick() -> None:
            told.append("quick")

        await asyncio.gather(greenback.with_portal_run_sync(slow), quick())
        return told

    assert asyncio.run(main()) == ["quick", "slow"]
