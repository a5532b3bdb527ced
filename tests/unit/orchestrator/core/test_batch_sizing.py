"""How many items travel in one message: few or slow ones in small batches, many short ones in large ones."""

from datetime import UTC, datetime

import pytest

from firstline.orchestrator.core.batch_sizing import INSTANT, INSTANT_S, SHORT, SHORT_S, STUDENT, USUAL, Load, Pace
from firstline.schemas.attempt import Attempt
from firstline.schemas.batch import ItemTrail, Trail
from firstline.schemas.tier import Model, Tier, TierKind


def _trail(*latencies: float, tier: str = "cheap") -> Trail:
    attempts = tuple(
        Attempt(
            item=n, step="s", n=0, tier=tier, model="m", started_at=datetime(2026, 1, 1, tzinfo=UTC), latency_s=seconds
        )
        for n, seconds in enumerate(latencies)
    )
    items = tuple(ItemTrail(item=attempt.item, attempts=(attempt,)) for attempt in attempts)
    return Trail(batch="b", job="j", segment=0, shard=0, tier=tier, items=items)


def tier(name: str) -> Tier:
    return Tier(name=name, models=(Model(name="openai/m"),))


@pytest.mark.parametrize(
    ("count", "workers", "load", "size"),
    [
        pytest.param(1, 1, INSTANT, 1, id="one item"),
        pytest.param(24, 1, USUAL, 1, id="as many as messages"),
        pytest.param(100, 1, USUAL, 5, id="a few"),
        pytest.param(100, 4, USUAL, 2, id="a few for more workers"),
        pytest.param(100_000, 1, USUAL, 20, id="many"),
        pytest.param(100_000, 1, SHORT, 50, id="many of short calls"),
        pytest.param(100_000, 1, INSTANT, 200, id="many that are answered at once"),
    ],
)
def test_a_batch_holds_more_items_the_more_there_are(count: int, workers: int, load: Load, size: int) -> None:
    assert load.size(count, workers=workers) == size


def test_of_a_tier_that_nobody_heard_of_calls_are_taken_to_last() -> None:
    pace = Pace()
    pace.hear(_trail(SHORT_S / 2))
    assert pace.load(tier("cheap")) == SHORT
    assert pace.load(tier("frontier")) == USUAL


def test_what_is_answered_at_once_travels_in_the_largest_batches() -> None:
    pace = Pace()
    pace.hear(_trail(INSTANT_S / 10))
    assert pace.load(tier("cheap")) == INSTANT


def test_one_slow_call_makes_its_batch_slow() -> None:
    pace = Pace()
    pace.hear(_trail(0.01, 0.01, 2 * SHORT_S))
    assert pace.load(tier("cheap")) == USUAL


def test_a_tier_becomes_short_again_after_a_while() -> None:
    pace = Pace()
    pace.hear(_trail(5.0))
    for _ in range(30):
        pace.hear(_trail(0.1))
    assert pace.load(tier("cheap")) == SHORT


def test_a_trail_without_calls_says_nothing() -> None:
    pace = Pace()
    pace.hear(_trail())
    assert pace.load(tier("cheap")) == USUAL


def test_a_student_travels_in_batches_that_can_wait_for_its_audits_however_fast_it_answers() -> None:
    pace = Pace()
    pace.hear(_trail(INSTANT_S / 10, tier="own"))
    assert pace.load(Tier(name="own", kind=TierKind.STUDENT)) == STUDENT
