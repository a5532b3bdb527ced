"""Estimates on both databases: from a guess without history, from earlier calls with it, and kept with the job."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from firstline.orchestrator import api
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.engine.lifecycle import settle_trail
from firstline.orchestrator.money import estimate
from firstline.orchestrator.money.job_estimate import above_top, shown_for
from firstline.orchestrator.reports.report_text import rendered
from firstline.orchestrator.run import plan_approval
from firstline.orchestrator.run.runner import View, run, submit
from firstline.orchestrator.store.quality_tables import OutcomeRow
from firstline.orchestrator.store.tables import JobRow
from firstline.orchestrator.submission.run_request import Order
from firstline.schemas.attempt import Usage
from firstline.schemas.batch import Batch, Todo
from firstline.schemas.errors import UserError
from firstline.schemas.estimate import Estimate
from firstline.schemas.job import JobRequest, Options
from firstline.schemas.plan import Step
from firstline.schemas.policy import Policy
from firstline.schemas.tier import Lane, Price, Profile, Rates
from firstline.schemas.verdict import Escalate, Parked
from tests.integration.jobs import PROFILE, SKILL, answered, begun, flying, rows, work, workflow

PRICED = Profile(
    name="priced",
    tiers=tuple(
        tier.evolve(models=(tier.models[0].evolve(price=Price(input=price, output=price)),))
        for tier, price in zip(PROFILE.tiers, (1.0, 10.0), strict=True)
    ),
)


@pytest.fixture
def order(tmp_path: Path) -> Order:
    file = tmp_path / "items.jsonl"
    file.write_text(
        "".join(json.dumps({"id": str(n), "text": f"{n} " + "word " * (n % 7 + 1)}) + "\n" for n in range(500))
    )
    return Order(JobRequest(workflow=workflow(), profile=PRICED), PRICED, str(file))


def estimated(engine: Context, order: Order, **options: int) -> Estimate:
    with engine.db.reading() as tx:
        return estimate.estimate(tx, order, **options)


def test_without_history_the_interval_is_as_wide_as_a_guess(engine: Context, order: Order) -> None:
    found = estimated(engine, order, sample=50)
    assert (found.items, found.sampled) == (500, 50)
    assert found.low_usd is not None
    assert found.cost_usd is not None
    assert found.high_usd is not None
    assert 0 < found.low_usd < 0.6 * found.cost_usd < found.cost_usd < 1.4 * found.cost_usd < found.high_usd
    assert "a guess" in found.steps[0].known_from
    assert found.frontier_usd is not None
    assert found.frontier_usd > found.cost_usd


def test_an_estimate_goes_by_the_lane_that_a_jobs_time_allows(engine: Context, order: Order) -> None:
    half = {Lane.FLEX: Rates(input=0.5, output=0.5)}
    slow = tuple(
        tier.evolve(
            service_tier=Lane.FLEX,
            models=tuple(one.evolve(price=Price(input=1, output=1, lanes=half)) for one in tier.models),
        )
        for tier in PRICED.tiers
    )
    profile, now = PRICED.evolve(tiers=slow), datetime.now(UTC)

    def cost_usd(**options: Any) -> float | None:
        request = order.request.evolve(profile=profile, options=Options(**options))
        return estimated(engine, replace(order, request=request, profile=profile), sample=20).cost_usd

    whole = cost_usd(deadline=now + timedelta(minutes=30))
    assert whole is not None
    assert cost_usd(priority="high") == pytest.approx(whole)
    assert [cost_usd(), cost_usd(deadline=now + timedelta(hours=2))] == [pytest.approx(whole / 2)] * 2


def odd_climb(item: int, todo: Todo) -> Parked | None:
    return Escalate(reason="odd") if item % 4 == 0 and todo.used == 0 and todo.n == 0 else None


def recorded(batch: Batch) -> dict[str, Any]:
    price = 1.0 if batch.tier.name == "cheap" else 10.0
    usage = Usage(input_tokens=60, output_tokens=30)
    return {
        "skill_digest": SKILL.digest,
        "usage": usage,
        "cost_usd": 90 * price / 1e6,
    }


def measured(engine: Context, **options: Any) -> str:
    """A job of 40 items of which a quarter climbs."""
    job = begun(engine, 40, **options)
    work(engine, job, odd_climb, recorded)
    return job


def test_with_history_it_knows_how_much_climbs_and_how_long_answers_are(engine: Context, order: Order) -> None:
    before = estimated(engine, order)
    measured(engine)
    found = estimated(engine, order)
    (step,) = found.steps
    assert step.climbing == pytest.approx(0.25, abs=0.03)
    assert step.output_tokens == pytest.approx(30, rel=0.02)
    assert "50 earlier answers" in step.known_from
    assert relative_width(found) < 0.5 * relative_width(before)


def relative_width(found: Estimate) -> float:
    assert found.high_usd is not None
    assert found.low_usd is not None
    assert found.cost_usd is not None
    return (found.high_usd - found.low_usd) / found.cost_usd


def test_history_is_the_models_whatever_its_tier_is_called(engine: Context, order: Order) -> None:
    measured(engine)
    named = PRICED.evolve(tiers=tuple(tier.evolve(name=f"{tier.name}2") for tier in PRICED.tiers))
    (step,) = estimated(engine, Order(order.request.evolve(profile=named), named, order.source)).steps
    assert step.climbing == pytest.approx(0.25, abs=0.03)
    other = PRICED.evolve(
        tiers=tuple(tier.evolve(models=(tier.models[0].evolve(name=f"x/{tier.name}"),)) for tier in PRICED.tiers)
    )
    (step,) = estimated(engine, Order(order.request.evolve(profile=other), other, order.source)).steps
    assert "a guess" in step.known_from


def test_what_calibrations_and_comparisons_measured_is_history(engine: Context, order: Order) -> None:
    measured(engine, purpose="calibrate")
    (step,) = estimated(engine, order).steps
    assert step.output_tokens == pytest.approx(30, rel=0.02)
    assert "50 earlier answers" in step.known_from


def test_retries_are_paid_where_they_are_made(engine: Context, order: Order) -> None:
    def again(item: int, todo: Todo) -> Parked | None:
        return Escalate(reason="odd") if item % 2 and todo.n == 0 else None

    job = begun(engine, 40)
    work(engine, job, again, recorded)
    (step,) = estimated(engine, order).steps
    # Half of it climbs and is answered there at once: one and a half calls, not three.
    assert step.calls == pytest.approx(1.5 * 500, rel=0.05)


def test_equal_items_are_counted_once_where_they_are_answered_once(
    engine: Context, order: Order, tmp_path: Path
) -> None:
    file = tmp_path / "same.jsonl"
    file.write_text("".join(json.dumps({"id": str(n), "text": "the same"}) + "\n" for n in range(50)))
    assert estimated(engine, Order(order.request, PRICED, str(file))).items == 1


def test_it_starts_where_measured_costs_send_a_job(engine: Context, order: Order) -> None:
    job = begun(engine, 40)
    work(engine, job, lambda item, todo: Escalate(reason="odd") if todo.n == 0 else None, recorded)
    (step,) = estimated(engine, order).steps
    assert step.tier == "frontier"


def test_a_plan_is_expected_to_cost_what_an_estimate_says(engine: Context, order: Order) -> None:
    found, planned = estimated(engine, order), plan_approval.of_order(order).view
    assert (planned.cost_usd, planned.low_usd, planned.high_usd) == (found.cost_usd, found.low_usd, found.high_usd)
    job = submit(order, PRICED)
    with engine.db.reading() as tx:
        shown = shown_for(tx, engine.job(tx, job))
    assert shown == found


AUDITED = Step(name="s0", skill="sort", policy=Policy(audit_share=1.0))


def test_above_the_top_tier_alone_it_says_so_and_a_no_runs_nothing(engine: Context, order: Order) -> None:
    assert above_top(estimated(engine, order)) is None
    dear = Order(order.request.evolve(workflow=workflow([AUDITED])), PRICED, order.source)
    assert "more than the" in str(above_top(estimated(engine, dear)))
    with pytest.raises(UserError, match="nothing spent"):
        run(dear, View(quiet=True), yes=lambda doubt: False)
    assert not rows(engine, JobRow)


def test_a_price_that_nobody_knows_makes_the_cost_unknown(engine: Context, order: Order) -> None:
    bare = PROFILE.evolve(
        tiers=tuple(
            tier.evolve(models=(tier.models[0].evolve(name="openai/x-1", price=None),)) for tier in PROFILE.tiers
        )
    )
    found = estimated(engine, Order(order.request.evolve(profile=bare), bare, order.source))
    assert found.cost_usd is None
    assert any("no price" in note for note in found.notes)


def test_a_goal_has_no_estimate_before_its_plan(engine: Context, order: Order) -> None:
    goal = Order(JobRequest(goal="do it", profile=PRICED), PRICED, None)
    assert estimated(engine, goal).cost_usd is None


def test_the_estimate_is_kept_with_the_job_and_held_against_its_cost(engine: Context, order: Order) -> None:
    job = submit(order, PRICED)
    assert rows(engine, JobRow, id=job)[0]["estimate"]["items"] == 500
    report = api.report(job)
    assert report.estimate is not None
    console = Console(width=200)
    with console.capture() as printed:
        console.print(rendered(report))
    assert "Estimated before the run" in printed.get()


def test_what_weighed_a_first_answer_does_not_make_it_one_that_climbed(engine: Context) -> None:
    job = begun(engine, 1)
    (batch,) = flying(engine, job)
    trail = answered(batch, call=recorded)
    (item,) = trail.items
    # As workers record it: the samples stand before the answer that they weigh, under later numbers.
    (said,) = item.attempts
    sample = said.evolve(n=1, purpose="sample", verdict="")
    settle_trail(engine, trail.evolve(items=(item.evolve(attempts=(sample, said)),)))
    assert [row["climbed"] for row in rows(engine, OutcomeRow, job=job)] == [False]


def test_a_step_over_a_list_is_counted_element_by_element(engine: Context, tmp_path: Path) -> None:
    file = tmp_path / "parts.jsonl"
    file.write_text("".join(json.dumps({"id": str(n), "parts": [f"a{n}", "b", "c"]}) + "\n" for n in range(50)))
    steps = [Step(name="s0", skill="sort", for_each="item.parts", inputs={"text": "each"})]
    listed = JobRequest(workflow=workflow(steps), profile=PRICED)
    (step,) = estimated(engine, Order(listed, PRICED, str(file))).steps
    assert step.calls > 3 * 50
