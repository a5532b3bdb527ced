"""Estimates on both databases: from a guess without history, from earlier calls with it, and kept with the job."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from firstline.orchestrator import api
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.money import estimate
from firstline.orchestrator.reports.report_text import rendered
from firstline.orchestrator.run.runner import submit
from firstline.orchestrator.store.tables import AttemptRow, JobRow
from firstline.orchestrator.submission.run_request import Order
from firstline.schemas.batch import Todo
from firstline.schemas.estimate import Estimate
from firstline.schemas.job import JobRequest
from firstline.schemas.tier import Price, Profile
from firstline.schemas.verdict import Escalate, Parked
from tests.integration.jobs import PROFILE, begun, change, rows, work, workflow

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
    file.write_text("".join(json.dumps({"id": str(n), "text": "word " * (n % 7 + 1)}) + "\n" for n in range(500)))
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
    assert found.low_usd < 0.6 * found.cost_usd < found.cost_usd < 1.4 * found.cost_usd < found.high_usd
    assert "a guess" in found.steps[0].known_from
    assert found.frontier_usd is not None
    assert found.frontier_usd > found.cost_usd


def odd_climb(item: int, todo: Todo) -> Parked | None:
    return Escalate(reason="odd") if item % 4 == 0 and todo.used == 0 and todo.n == 0 else None


def test_with_history_it_knows_how_much_climbs_and_how_long_answers_are(engine: Context, order: Order) -> None:
    job = begun(engine, 40)
    work(engine, job, odd_climb)
    change(engine, AttemptRow, {"skill": "sort", "output_tokens": 30}, job=job)
    found = estimated(engine, order)
    (step,) = found.steps
    assert (step.climbing, step.output_tokens) == (pytest.approx(0.25), 30)
    assert "40 earlier answers" in step.known_from
    assert found.cost_usd is not None
    assert found.high_usd is not None
    assert found.high_usd < 1.6 * found.cost_usd


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
