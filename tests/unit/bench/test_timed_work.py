"""Measurements of a piece of work on the event loop."""

import asyncio
import time

from bench.log import timed


async def test_short_work_has_no_gaps() -> None:
    run = await timed(asyncio.sleep(0))
    assert run.wall_s >= 0
    assert run.gap_p99_ms == 0


async def test_work_that_blocks_the_loop_is_a_gap() -> None:
    async def work() -> None:
        for _ in range(3):
            time.sleep(0.02)  # noqa: ASYNC251 - that is the point
            await asyncio.sleep(0.005)

    assert (await timed(work())).gap_p99_ms >= 10
