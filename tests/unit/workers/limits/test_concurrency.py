"""Places for calls: never more than there are, the urgent first, none lost to those who give up waiting."""

import asyncio
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from firstline.workers.limits.concurrency import URGENT, Slots


def test_who_waits_is_served_by_priority_then_in_order() -> None:
    async def run() -> list[str]:
        slots, served = Slots(1), []

        async def one(name: str, priority: int) -> None:
            async with slots.held(priority):
                served.append(name)
                await asyncio.sleep(0)

        waiting = [("first", 4), ("low", 7), ("normal", 4), ("urgent", 0), ("normal too", 4)]
        await asyncio.gather(*(one(*pair) for pair in waiting))
        return served

    assert asyncio.run(run()) == ["first", "urgent", "normal", "normal too", "low"]


@given(st.integers(1, 4), st.integers(0, 2**16))
def test_places_are_neither_exceeded_nor_lost_when_waiters_are_cancelled(count: int, seed: int) -> None:
    async def run() -> tuple[int, int]:
        slots, random = Slots(count), Random(seed)
        held = peak = 0

        async def one(priority: int) -> None:
            nonlocal held, peak
            async with slots.held(priority):
                held += 1
                peak = max(peak, held)
                try:
                    await asyncio.sleep(0)
                finally:
                    held -= 1

        tasks = [asyncio.create_task(one(random.randrange(3))) for _ in range(20)]
        for task in random.sample(tasks, 6):
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.wait_for(asyncio.gather(*(one(0) for _ in range(count))), 5)
        return peak, slots.held_now

    peak, held = asyncio.run(run())
    assert peak <= count
    assert held == 0


def _saturated(slots: Slots, times: int = 30) -> None:
    for _ in range(times):
        slots.adapt(busy=1.0)


async def _fill(slots: Slots, count: int, priority: int, over: asyncio.Event) -> list[asyncio.Task[None]]:
    async def one() -> None:
        async with slots.held(priority):
            await over.wait()

    tasks = [asyncio.create_task(one()) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


def test_a_process_that_never_rests_has_fewer_places_but_for_the_urgent() -> None:
    async def run() -> list[int]:
        slots, over, again = Slots(64), asyncio.Event(), asyncio.Event()
        tasks = await _fill(slots, 64, 4, over)
        _saturated(slots)
        fewer = slots.room
        over.set()
        await asyncio.gather(*tasks)
        tasks = await _fill(slots, 64, 4, again)
        usual = slots.held_now
        tasks += await _fill(slots, 5, URGENT, again)
        urgent = slots.held_now
        again.set()
        await asyncio.gather(*tasks)
        return [fewer, usual, urgent, slots.held_now]

    assert asyncio.run(run()) == [8, 8, 13, 0]


def test_places_come_back_when_there_is_time_again() -> None:
    async def run() -> tuple[int, int]:
        slots, over = Slots(64), asyncio.Event()
        tasks = await _fill(slots, 64, 4, over)
        _saturated(slots)
        over.set()
        await asyncio.gather(*tasks)
        waiting = asyncio.Event()
        tasks = await _fill(slots, 64, 4, waiting)
        for _ in range(20):
            slots.adapt(busy=0.5)
        await asyncio.sleep(0)
        served = slots.held_now
        waiting.set()
        await asyncio.gather(*tasks)
        return served, slots.room

    assert asyncio.run(run()) == (64, 64)


def test_a_busy_process_keeps_its_places_while_they_are_not_all_needed() -> None:
    slots = Slots(64)
    _saturated(slots)
    assert slots.room == 64
