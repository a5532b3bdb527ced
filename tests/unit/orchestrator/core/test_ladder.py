"""What follows from a worker's trail: subtasks settle once, attempts count up, nobody climbs off the top."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstline.orchestrator.core.ladder import Sub, climb, record, stand
from firstline.schemas.batch import ItemTrail, Left, Settled
from firstline.schemas.job import ItemState
from firstline.schemas.plan import Plan, PlannedStep, Step
from firstline.schemas.verdict import Defer, DeferCause, Escalate, Parked, Refer, Reject, Review

LADDER = ("cheap", "middle", "top")


def defer(cause: DeferCause, wait_s: float = 0) -> Defer:
    return Defer(cause=cause, wait_s=wait_s, reason="not now")


def left(verdict: Parked, *, step: str = "s", n: int = 1, used: int = 1) -> ItemTrail:
    return ItemTrail(item=0, left=(Left(step=step, n=n, used=used, verdict=verdict, feedback=("mend it",)),))


def settled(value: Any = "yes", *, step: str = "s", n: int = 0) -> ItemTrail:
    return ItemTrail(item=0, settled=(Settled(step=step, n=n, value=value),))


def plan(*steps: Step, segments: dict[str, int] | None = None) -> Plan:
    planned = tuple(
        PlannedStep(step=step, segment=(segments or {}).get(step.name, 0), start_tier="cheap") for step in steps
    )
    return Plan(workflow="w", steps=planned, output=steps[-1].name)


@pytest.mark.parametrize(
    ("verdict", "state", "tier"),
    [
        pytest.param(Escalate(reason="unsure"), "open", "middle", id="escalate climbs a tier"),
        pytest.param(Refer(reason="odd"), "referred", "cheap", id="refer waits for the orchestrator model"),
        pytest.param(Review(reason="odd"), "review", "cheap", id="review waits for a person"),
        pytest.param(Reject(reason="no"), "failed", "cheap", id="reject gives up"),
        pytest.param(defer(DeferCause.STOPPING), "open", "cheap", id="a stopped worker hands back"),
        pytest.param(defer(DeferCause.CANCELLED), "paused", "cheap", id="cancelled rests"),
        pytest.param(defer(DeferCause.BUDGET), "paused", "cheap", id="a reached cap rests"),
        pytest.param(defer(DeferCause.BUDGET, 3), "deferred", "cheap", id="money held by others comes back"),
        pytest.param(defer(DeferCause.BUDGET_UNKNOWN, 1), "deferred", "cheap", id="an unknown budget comes back"),
        pytest.param(defer(DeferCause.LIMIT, 9), "deferred", "cheap", id="a full limit comes back"),
        pytest.param(defer(DeferCause.NO_MODEL, 9), "deferred", "cheap", id="no model comes back"),
    ],
)
def test_a_verdict_decides_where_a_subtask_stands(verdict: Parked, state: str, tier: str) -> None:
    after = record({"s": Sub("s", "cheap", batch="b")}, left(verdict), ladder=LADDER, tier="cheap")["s"]
    assert (after.state, after.tier, after.batch) == (state, tier, None)
    assert after.reason == verdict.reason
    assert after.wait_s == (verdict.wait_s if state == "deferred" else None)


def test_what_climbs_begins_afresh_and_takes_the_feedback_along() -> None:
    known = {"s": Sub("s", "cheap", used=2, effort="high")}
    after = record(known, left(Escalate(reason="unsure"), n=3, used=2), ladder=LADDER, tier="cheap")["s"]
    assert (after.n, after.used, after.effort, after.feedback) == (3, 0, None, ("mend it",))


@pytest.mark.parametrize(
    ("tier", "above"),
    [("cheap", "middle"), ("middle", "top"), ("top", None), ("tools", None)],
)
def test_climbing_ends_at_the_top(tier: str, above: str | None) -> None:
    after = climb(Sub("s", tier, reason="unsure"), ladder=LADDER)
    assert (after.state, after.tier) == (("open", above) if above else ("failed", tier))


VERDICTS = st.one_of(
    st.builds(Escalate, reason=st.just("r")),
    st.builds(Refer, reason=st.just("r")),
    st.builds(Review, reason=st.just("r")),
    st.builds(Reject, reason=st.just("r")),
    st.sampled_from(DeferCause).map(lambda cause: defer(cause, 2)),
)
EVENTS = st.lists(st.one_of(st.none(), VERDICTS), min_size=1, max_size=12)


@given(EVENTS)
def test_a_subtask_settles_once_counts_up_and_never_leaves_the_ladder(events: list[Parked | None]) -> None:
    subs = {"s": Sub("s", "cheap")}
    ended: Sub | None = None
    for turn, event in enumerate(events):
        before = subs["s"]
        trail = settled(turn, n=before.n) if event is None else left(event, n=before.n + 1)
        subs = record(subs, trail, ladder=LADDER, tier=before.tier)
        now = subs["s"]
        assert now.tier in LADDER
        assert LADDER.index(now.tier) >= LADDER.index(before.tier)
        assert now.n >= before.n
        if ended is not None:
            assert now == ended
        elif now.ended:
            ended = now


@given(EVENTS)
def test_the_same_trail_twice_is_the_same_as_once_for_what_has_ended(events: list[Parked | None]) -> None:
    subs = {"s": Sub("s", "cheap")}
    for turn, event in enumerate(events):
        trail = settled(turn, n=turn) if event is None else left(event, n=turn + 1)
        once = record(subs, trail, ladder=LADDER, tier=subs["s"].tier)
        twice = record(once, trail, ladder=LADDER, tier=subs["s"].tier)
        if once["s"].ended:
            assert twice == once
        subs = once


def test_an_item_whose_steps_have_all_ended_is_through() -> None:
    subs = {"a": Sub("a", "cheap", state="settled", value=1), "b": Sub("b", "cheap", state="skipped")}
    standing = stand(subs, before={}, plan=plan(Step(name="a"), Step(name="b", after=("a",))), segment=0, item={})
    assert standing.through


def test_an_item_asks_for_what_is_ready_and_held_by_no_batch() -> None:
    steps = plan(Step(name="a"), Step(name="b"), Step(name="c", after=("a",)))
    subs = {"a": Sub("a", "middle"), "b": Sub("b", "cheap", batch="held")}
    standing = stand(subs, before=subs, plan=steps, segment=0, item={})
    assert standing.todo == {"middle": ("a",)}
    assert standing.state is ItemState.PENDING


def test_one_failed_step_fails_the_item_with_its_reason() -> None:
    subs = {"a": Sub("a", "cheap", state="failed", reason="no label fits"), "b": Sub("b", "cheap")}
    standing = stand(subs, before=subs, plan=plan(Step(name="a"), Step(name="b")), segment=0, item={})
    assert (standing.state, standing.reason) == (ItemState.FAILED, "step 'a': no label fits")


def test_an_item_is_in_review_only_when_nothing_else_of_it_is_under_way() -> None:
    steps = plan(Step(name="a"), Step(name="b"))
    waiting = {"a": Sub("a", "cheap", state="review", reason="look"), "b": Sub("b", "cheap", state="deferred")}
    assert stand(waiting, before=waiting, plan=steps, segment=0, item={}).state is ItemState.PENDING
    alone = {**waiting, "b": Sub("b", "cheap", state="settled")}
    standing = stand(alone, before=alone, plan=steps, segment=0, item={})
    assert (standing.state, standing.reason) == (ItemState.REVIEW, "look")


def test_a_step_whose_condition_fails_is_skipped_and_what_follows_it_goes_on() -> None:
    steps = plan(Step(name="a"), Step(name="b", after=("a",), when="a == 'x'"), Step(name="c", after=("b",)))
    subs = {"a": Sub("a", "cheap", state="settled", value="y")}
    standing = stand(subs, before=subs, plan=steps, segment=0, item={})
    assert standing.subs["b"].state == "skipped"
    assert standing.todo == {"cheap": ("c",)}
    assert standing.changed == {"b", "c"}


def test_a_state_that_was_read_from_the_store_as_text_is_the_state():
    # A driver hands over plain text: `is` would call every subtask that waits to be asked anew one that was asked.
    assert not Sub("draft", "cheap", "waiting").begun
