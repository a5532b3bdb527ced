"""The worker's loop knows how busy it is."""

import asyncio
import time

from workers.loop import Loop


def test_a_loop_that_works_all_the_time_is_busy_and_one_that_waits_is_not() -> None:
    loop = Loop()
    try:

        async def busy() -> float:
            return loop.load().share

        loop.run(busy())
        # Nothing wakes it meanwhile: the rest ends with the question.
        time.sleep(0.3)
        assert loop.run(busy()) < 0.5

        async def work() -> None:
            until = time.perf_counter() + 0.3
            while time.perf_counter() < until:
                await asyncio.sleep(0)

        loop.run(work())
        assert loop.run(busy()) > 0.8
    finally:
        loop.stop()
