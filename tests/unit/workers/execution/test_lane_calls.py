"""Calls on slow lanes: asked there while there is time, at once on the ordinary one where that is full."""

from datetime import UTC, datetime, timedelta

import pytest

from firstline.schemas.attempt import Attempt, ErrorKind, Usage
from firstline.schemas.batch import Batch
from firstline.schemas.tier import Lane, Model, Price, Rates, Tier
from firstline.workers.execution.lane_calls import may_cost
from firstline.workers.providers.gateway import Call, Reply
from firstline.workers.worker import Worker
from tests.unit.worker_rig import Gated, Rig, simple

PRICE = Price(input=2, output=8, lanes={Lane.FLEX: Rates(input=1, output=4)})
FLEX = Tier(name="cheap", service_tier=Lane.FLEX, concurrency=1, models=(Model(name="openai/m1", price=PRICE),))
GOOD = Reply(text='{"label": "a"}', value={"label": "a"}, usage=Usage(input_tokens=100, output_tokens=10), cost_usd=0.1)


def lane_of(call: Call) -> object:
    return call.params.get("service_tier")


def provider(*on_flex: Reply) -> Gated:
    """Answer calls on the ordinary lane; on flex with these in turn, then well."""
    waiting = list(on_flex)

    def reply(call: Call) -> Reply:
        return GOOD if lane_of(call) is None or not waiting else waiting.pop(0)

    return Gated(reply)


def asked(gateway: Gated, *texts: str, **changes: object) -> list[Attempt]:
    given: Batch = simple(*texts or ("x",), **{"tier": FLEX, **changes})
    trail = Rig(gateway).run(given)
    return [attempt for item in trail.items for attempt in item.attempts]


FULL = Reply(error=ErrorKind.LANE, detail="Resource unavailable", cost_usd=0.0, latency_s=0.3)


def test_a_full_lane_is_left_and_the_call_made_again_at_once() -> None:
    gateway = provider(FULL)
    attempts = asked(gateway, "x", "y")
    # The lane is left alone for a while, and the model is not.
    assert [lane_of(call) for call in gateway.calls] == ["flex", None, None]
    away, *answers = sorted(attempts, key=lambda one: one.verdict != "refused")
    assert (away.error, away.service_tier, away.cost_usd) == (ErrorKind.LANE, Lane.FLEX, 0.0)
    assert "the lane 'flex' is full; asked again at once" in away.reason
    assert [one.verdict for one in answers] == ["accept", "accept"]


@pytest.mark.parametrize(
    ("reply", "lanes"),
    [
        pytest.param(Reply(error=ErrorKind.SERVER, cost_usd=0.0), ["flex", None], id="overloaded, for nothing"),
        pytest.param(Reply(error=ErrorKind.RATE, cost_usd=0.0), ["flex", None], id="429 without a word"),
    ],
)
def test_what_may_mean_a_full_lane_is_taken_for_one(reply: Reply, lanes: list[str | None]) -> None:
    gateway = provider(reply)
    asked(gateway)
    assert [lane_of(call) for call in gateway.calls] == lanes


def test_a_limit_of_ours_is_no_full_lane() -> None:
    gateway = provider(Reply(error=ErrorKind.RATE, cost_usd=0.0, retry_after_s=5.0))
    (attempt,) = asked(gateway)
    assert (attempt.error, [lane_of(call) for call in gateway.calls]) == (ErrorKind.RATE, ["flex"])


def test_a_call_that_times_out_there_is_an_attempt_of_its_own_and_no_fault_of_the_models() -> None:
    gateway = provider(Reply(error=ErrorKind.TIMEOUT, detail="no answer within 900 s"))
    late, answer = asked(gateway)
    assert (late.error, late.service_tier, late.cost_usd) == (ErrorKind.TIMEOUT, Lane.FLEX, None)
    assert (answer.verdict, [lane_of(call) for call in gateway.calls]) == ("accept", ["flex", None])


def test_an_answer_may_take_longer_there() -> None:
    gateway = provider()
    asked(gateway)
    assert gateway.calls[0].timeout_s == FLEX.slow_lane.timeout_s


@pytest.mark.parametrize(("minutes", "lane"), [(30, None), (90, "flex")])
def test_the_deadline_decides(minutes: int, lane: str | None) -> None:
    gateway = provider()
    asked(gateway, deadline=datetime.now(UTC) + timedelta(minutes=minutes))
    assert lane_of(gateway.calls[0]) == lane


@pytest.mark.parametrize(("priority", "lane"), [(0, None), (2, "flex")])
def test_who_waits_for_an_answer_gets_it_at_once(priority: int, lane: str | None) -> None:
    gateway = provider()
    asked(gateway, priority=priority)
    assert lane_of(gateway.calls[0]) == lane


def test_the_dearer_lane_is_reserved() -> None:
    seen: list[float | None] = []
    call = Call(FLEX.models[0], ({"role": "user", "content": "x" * 4000},), params={"max_tokens": 100})

    def look(worker: Worker) -> None:
        seen.extend(may_cost(call, lane, worker).cost_usd for lane in (Lane.FLEX, None))

    Rig(provider()).run(simple("x", tier=FLEX), before=look)
    assert seen == [pytest.approx((1004 * 2 + 100 * 8) / 1e6)] * 2
