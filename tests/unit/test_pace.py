"""How many items travel in one message: few or slow ones in small batches, many short ones in large ones."""

from datetime import UTC, datetime

import pytest

from orchestrator.pace import SHORT_S, Pace
from orchestrator.release import BATCH_ITEMS, SHORT_BATCH_ITEMS, batch_size
from schemas.attempt import Attempt
from schemas.batch import ItemTrail, Trail


def _trail(*latencies: float, tier: str = "cheap") -> Trail:
    attempts = tuple(
        Attempt(
            item=n, step="s", n=0, tier=tier, model="m", started_at=datetime(2026, 1, 1, tzinfo=UTC), latency_s=seconds
        )
        for n, seconds in enumerate(latencies)
    )
    items = tuple(ItemTrail(item=attempt.item, attempts=(attempt,)) for attempt in attempts)
    return Trail(batch="b", job="j", segment=0, shard=0, tier=tier, items=items)


@pytest.mark.parametrize(
    ("count", "workers", "short", "size"),
    [
        pytest.param(1, 1, True, 1, id="one item"),
        pytest.param(24, 1, False, 1, id="as many as messages"),
        pytest.param(100, 1, False, 5, id="a few"),
        pytest.param(100, 4, False, 2, id="a few for more workers"),
        pytest.param(100_000, 1, False, BATCH_ITEMS, id="many"),
        pytest.param(100_000, 1, True, SHORT_BATCH_ITEMS, id="many of short calls"),
    ],
)
def test_a_batch_holds_more_items_the_more_there_are(count: int, workers: int, short: bool, size: int) -> None:
    assert batch_size(count, workers=workers, short=short) == size


def test_a_tier_that_nobody_heard_of_has_no_short_calls() -> None:
    pace = Pace()
    pace.hear(_trail(0.01))
    assert pace.is_short("cheap")
    assert not pace.is_short("frontier")


def test_one_slow_call_makes_its_batch_slow() -> None:
    pace = Pace()
    pace.hear(_trail(0.01, 0.01, 2 * SHORT_S))
    assert not pace.is_short("cheap")


def test_a_tier_becomes_short_again_after_a_while() -> None:
    pace = Pace()
    pace.hear(_trail(5.0))
    for _ in range(30):
        pace.hear(_trail(0.01))
    assert pace.is_short("cheap")


def test_a_trail_without_calls_says_nothing() -> None:
    pace = Pace()
    pace.hear(_trail())
    assert not pace.is_short("cheap")
