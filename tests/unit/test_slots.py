"""Places for calls: never more than there are, the urgent first, none lost to those who give up waiting."""

import asyncio
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from workers.slots import Slots


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
        return peak, slots._free

    peak, free = asyncio.run(run())
    assert peak <= count
    assert free == count
