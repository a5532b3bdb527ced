"""The worker's loop knows how busy it is."""

import asyncio
import threading
import time
from functools import partial

import pytest

from firstline.workers.loop.event_loop import Loop


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


def test_what_never_waits_is_done_on_the_loop_and_all_else_on_threads() -> None:
    loop = Loop()
    prepare, look_up = partial(threading.get_ident), partial(threading.get_ident)

    def fail() -> None:
        raise ValueError("no such model")

    async def where() -> tuple[int, int, int]:
        running = asyncio.get_running_loop()
        with pytest.raises(ValueError, match="no such model"):
            await running.run_in_executor(None, fail)
        return (
            threading.get_ident(),
            await running.run_in_executor(None, prepare),
            await running.run_in_executor(None, look_up),
        )

    try:
        loop.spare_threads(lambda work: work in (prepare, fail))
        here, prepared, looked_up = loop.run(where())
        assert prepared == here != looked_up
    finally:
        loop.stop()
