"""The rule of lanes: by the time that a job has left, and what a profile may say of it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstline.schemas.tier import Lane, Model, Tier, TierKind
from firstline.workers.rules.lanes import fits, lane_of, left_s

HOUR, DAY = 3600.0, 24 * 3600.0
LUNA = Model(name="openai/gpt-6-luna")


def tier(**changes: object) -> Tier:
    return Tier.model_validate({"name": "cheap", "service_tier": "flex", "models": (LUNA,), **changes})


@pytest.mark.parametrize(
    ("left", "lane"),
    [
        pytest.param(None, Lane.FLEX, id="nobody presses"),
        pytest.param(2 * HOUR, Lane.FLEX, id="time"),
        pytest.param(HOUR, None, id="an hour"),
        pytest.param(60.0, None, id="a minute"),
        pytest.param(-1.0, None, id="too late"),
    ],
)
def test_a_slow_lane_takes_calls_of_jobs_with_more_than_an_hour(left: float | None, lane: Lane | None) -> None:
    assert lane_of(tier(), LUNA, left) is lane


@pytest.mark.parametrize(
    ("of", "model"),
    [
        pytest.param({"service_tier": None}, {}, id="nobody asks for one"),
        pytest.param({}, {"service_tier": "standard"}, id="the model says no"),
        pytest.param({}, {"params": {"service_tier": "priority"}}, id="its parameters say which"),
        pytest.param({}, {"name": "anthropic/claude-haiku-5-5"}, id="its provider has none"),
    ],
)
def test_no_slow_lane(of: dict[str, object], model: dict[str, object]) -> None:
    one = Model.model_validate({"name": "openai/gpt-6-luna", **model})
    assert lane_of(tier(models=(LUNA, one.evolve(name=one.name)), **of), one, None) is None


def test_a_model_may_name_the_lane_itself() -> None:
    own = LUNA.evolve(service_tier=Lane.FLEX)
    assert lane_of(Tier(name="cheap", models=(own,)), own, DAY) is Lane.FLEX


def test_a_day_is_what_a_batch_takes() -> None:
    batch = Tier(name="overnight", kind=TierKind.BATCH, models=(LUNA,))
    assert [fits(batch, left) for left in (None, DAY - 1, DAY + 1)] == [False, False, True]
    assert fits(tier(), 1.0)


@given(st.floats(-1e6, 1e7), st.floats(0, 1e6))
def test_who_has_more_time_is_never_asked_on_a_faster_lane(left: float, more: float) -> None:
    batch = Tier(name="overnight", kind=TierKind.BATCH, models=(LUNA,))
    assert fits(batch, left) <= fits(batch, left + more)
    assert (lane_of(tier(), LUNA, left) is not None) <= (lane_of(tier(), LUNA, left + more) is not None)
    # Whoever has time for a batch has time for the slow lane.
    assert fits(batch, left) <= (lane_of(tier(), LUNA, left) is not None)


def test_time_left_is_until_the_deadline() -> None:
    now = datetime(2026, 11, 29, tzinfo=UTC)
    assert (left_s(None, now), left_s(now + timedelta(hours=2), now)) == (None, 7200.0)
    # Whoever waits for an answer has set no deadline either.
    assert (left_s(None, now, urgent=True), left_s(now + timedelta(hours=2), now, urgent=True)) == (0.0, 7200.0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"service_tier": "priority"}, "expected a slow lane, `flex` or `balanced`, got 'priority'"),
        ({"service_tier": "batch"}, "the Batch API is a tier of kind `batch`"),
        ({"kind": "batch"}, "is of kind `batch`, which has no `service_tier`"),
        (
            {"models": ({"name": "mistral/mistral-small-latest"},)},
            "mistral-small-latest cannot be asked on a slow lane",
        ),
        (
            {"models": ({"name": "openai/o", "service_tier": "flex", "params": {"service_tier": "auto"}},)},
            "without `service_tier` in its `params`",
        ),
    ],
)
def test_what_a_profile_cannot_mean_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        tier(**changes)
