"""Calls begin as far apart as the loop needs for one, and no later."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from firstline.workers.limits.concurrency import URGENT, Slots, Spacing


def _learnt(busy_s: float, calls: int) -> Spacing:
    spacing = Spacing()
    for n in range(calls):
        spacing.begin(float(n))
    spacing.learn(busy_s)
    return spacing


def test_the_gap_is_what_the_loop_needs_for_a_call() -> None:
    assert _learnt(0.5, 100).gap_s == 0.8 * 0.005


def test_few_calls_say_nothing_and_a_slow_loop_never_holds_calls_up_for_long() -> None:
    assert _learnt(0.5, 5).gap_s == 0
    assert _learnt(100.0, 20).gap_s == 0.01


@given(st.lists(st.floats(0, 0.05), max_size=200))
def test_calls_are_never_closer_than_the_gap_but_for_what_is_caught_up(pauses: list[float]) -> None:
    spacing, now, begun = _learnt(0.5, 100), 1000.0, []
    for pause in pauses:
        now += pause
        wait_s = spacing.wait_s(now)
        # Those that were late may catch up, but nobody waits longer than a gap after the one before.
        assert wait_s <= spacing.gap_s + 1e-9
        now += wait_s
        spacing.begin(now)
        begun.append(now)
    for first in range(0, len(begun) - 10, 10):
        assert begun[first + 10] - begun[first] >= 10 * spacing.gap_s - 0.002 - 1e-6


def test_places_are_given_one_after_the_other_the_urgent_at_once_and_none_is_lost() -> None:
    async def run() -> tuple[list[float], float]:
        loop, spacing = asyncio.get_running_loop(), _learnt(0.5, 50)
        slots, usual, urgent = Slots(40, spacing), [], []

        async def one(priority: int, times: list[float]) -> None:
            async with slots.held(priority):
                times.append(loop.time())
                await asyncio.sleep(0.2)

        begun = loop.time()
        await asyncio.gather(*(one(4, usual) for _ in range(30)), *(one(URGENT, urgent) for _ in range(5)))
        assert slots.held_now == 0
        return [at - begun for at in usual], max(urgent) - begun

    usual, urgent = asyncio.run(run())
    assert len(usual) == 30
    assert usual[-1] - usual[0] >= 29 * 0.8 * 0.01 - 0.002
    assert urgent < usual[-1] / 2
