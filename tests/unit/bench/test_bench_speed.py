"""The arithmetic of the speed benches, on figures that can be reckoned by hand."""

from datetime import UTC, datetime

import pytest

from bench.cost import Asked, cached, count
from bench.efficiency import used
from bench.kit.figures import at_least, at_most
from bench.overhead import Took, against_limit
from firstline.schemas.base import JsonObject
from firstline.schemas.skill import Skill

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def _call(begun: float, delay_s: float) -> dict[str, float]:
    return {"at": begun + delay_s, "delay_s": delay_s}


def test_places_that_always_hold_a_call_are_used_in_full() -> None:
    paid = [_call(second, 1.0) for second in range(10) for _ in range(2)]
    assert used(paid, places=2) == pytest.approx(1.0)


def test_half_of_the_places_are_used_when_each_waits_as_long_as_it_calls() -> None:
    assert used([_call(2 * n, 1.0) for n in range(10)], places=1) == pytest.approx(0.5)


def test_what_runs_on_after_the_last_call_began_does_not_count() -> None:
    assert used([_call(0, 1.0), _call(1, 60.0)], places=1) == pytest.approx(1.0)


def test_ratios_are_the_median_over_pairs_and_compare_with_the_limits_one_process() -> None:
    pairs = [(Took(1000, 1.0, 4.0, 4.0), Took(1000, 1.0, worker, 2 * worker)) for worker in (4.0, 5.0, 40.0)]
    worker, every = against_limit(pairs)
    assert (worker["value"], worker["met"]) == (1.25, True)
    assert (every["value"], every["met"]) == (2.5, False)


@pytest.mark.parametrize(
    ("target", "met"),
    [
        pytest.param(at_most("a", 1.0, 1.0), True, id="at its limit"),
        pytest.param(at_most("a", 1.1, 1.0), False, id="above it"),
        pytest.param(at_least("a", 0.9, 1.0), False, id="below it"),
        pytest.param(at_least("a", None, 1.0), None, id="not measured"),
    ],
)
def test_a_target_is_met_missed_or_not_measured(target: dict[str, object], met: bool | None) -> None:
    assert target["met"] is met


def _asked(text: str) -> Asked:
    skill = Skill(name="sort", instructions="Sort it. " * 900, input={"text": {}}, output={"type": "object"})  # type: ignore[dict-item]
    inputs: JsonObject = {"text": text}
    return Asked(NOON, "m", skill, inputs, answered=9)


def test_the_common_part_is_served_from_the_cache_only_where_it_comes_first() -> None:
    saved = count([_asked("one"), _asked("two"), _asked("one")], pack=3)
    assert saved.cached > 2 * 1024
    assert saved.cached_item_first < saved.cached
    assert saved.repeated == 1


def test_a_pack_pays_for_the_common_part_once() -> None:
    calls = [_asked(str(n)) for n in range(4)]
    assert count(calls, pack=4).packed < 0.5 * count(calls, pack=1).packed


def test_short_prompts_are_not_cached() -> None:
    prompt = ({"role": "user", "content": "short"},)
    assert cached([("m", prompt), ("m", prompt)]) == 0
