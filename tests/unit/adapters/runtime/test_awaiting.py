"""Awaiting from synchronous code: on the current event loop with a greenback portal, else on a shared one."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import greenback
import pytest

from paceline.adapters.runtime.awaiting import pause, wait_for


async def running_loop() -> asyncio.AbstractEventLoop:
    await asyncio.sleep(0)
    return asyncio.get_running_loop()


async def failing() -> None:
    raise KeyError("why")


def test_without_a_portal_all_threads_share_one_loop() -> None:
    with ThreadPoolExecutor(8) as threads:
        loops = list(threads.map(lambda _: wait_for(running_loop()), range(64)))
    assert len(set(loops)) == 1
    assert threading.current_thread().name != "awaiting"


def test_with_a_portal_the_current_loop_is_used() -> None:
    async def main() -> tuple[asyncio.AbstractEventLoop, asyncio.AbstractEventLoop]:
        return await greenback.with_portal_run_sync(wait_for, running_loop()), asyncio.get_running_loop()

    used, own = asyncio.run(main())
    assert used is own
    assert used is not wait_for(running_loop())


def test_exceptions_are_passed_to_the_caller() -> None:
    async def main() -> None:
        with pytest.raises(KeyError, match="why"):
            await greenback.with_portal_run_sync(wait_for, failing())

    with pytest.raises(KeyError, match="why"):
        wait_for(failing())
    asyncio.run(main())


def test_a_pause_lets_other_tasks_run() -> None:
    async def main() -> list[str]:
        finished: list[str] = []

        def slow() -> None:
            pause(0.1)
            finished.append("slow")

        async def quick() -> None:
            finished.append("quick")

        await asyncio.gather(greenback.with_portal_run_sync(slow), quick())
        return finished

    assert asyncio.run(main()) == ["quick", "slow"]
