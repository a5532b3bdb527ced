"""Judging on both databases: settled once, paid calls recorded once each, whatever is delivered how often."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from firstline.orchestrator.core.context import Context
from firstline.orchestrator.engine.judge import REPEATED_FROM
from firstline.orchestrator.engine.lifecycle import settle_trail
from firstline.orchestrator.service.tasks import judge_message
from firstline.orchestrator.store.tables import AttemptRow, BatchRow, ItemRow, SubtaskRow
from firstline.schemas.batch import Trail
from firstline.schemas.verdict import Defer, DeferCause, Escalate, Refer, Reject, Review
from tests.integration.jobs import (
    NOON,
    PRICE_USD,
    answered,
    begun,
    flying,
    money,
    rows,
    state,
    subtasks,
    work,
)


def test_a_job_whose_items_all_settle_is_done_and_its_money_is_the_sum_of_its_calls(engine: Context) -> None:
    job = begun(engine, 5, steps=3)
    work(engine, job)
    assert state(engine, job) == "done"
    assert subtasks(engine, job) == ["settled"] * 15
    assert money(engine, job) == (15, 15 * PRICE_USD)


def test_the_same_trail_twice_changes_nothing(engine: Context) -> None:
    job = begun(engine, 1)
    trail = answered(flying(engine, job)[0])
    settle_trail(engine, trail)
    before = rows(engine, ItemRow, job=job), rows(engine, AttemptRow, job=job)
    assert settle_trail(engine, trail) is None
    assert (rows(engine, ItemRow, job=job), rows(engine, AttemptRow, job=job)) == before
    assert money(engine, job) == (1, PRICE_USD)


def test_a_trail_in_two_halves_settles_each_item_once(engine: Context) -> None:
    job = begun(engine, 40)
    batch = next(batch for batch in flying(engine, job) if len(batch.work) > 1)
    trail = answered(batch)
    for part in (trail.items[:1], trail.items[1:]):
        settle_trail(engine, trail.evolve(items=part))
    settled = [row for row in rows(engine, SubtaskRow, job=job) if row["state"] == "settled"]
    assert {row["item"] for row in settled} >= {trail.items[0].item}
    work(engine, job)
    assert state(engine, job) == "done"
    assert subtasks(engine, job) == ["settled"] * 40
    money(engine, job)


def test_calls_that_two_workers_paid_are_recorded_once_each_and_one_answer_counts(engine: Context) -> None:
    job = begun(engine, 1)
    batch = flying(engine, job)[0]
    settle_trail(engine, answered(batch, worker="w1"))
    settle_trail(engine, answered(batch, worker="w2", began=NOON + timedelta(seconds=1)))
    settle_trail(engine, answered(batch, worker="w2", began=NOON + timedelta(seconds=1)))
    calls = {(row["n"], row["worker"], row["verdict"]) for row in rows(engine, AttemptRow, job=job)}
    assert calls == {(0, "w1", "accept"), (REPEATED_FROM, "w2", "repeated")}
    assert money(engine, job) == (2, 2 * PRICE_USD)


def test_a_judge_that_died_after_its_commit_goes_on_where_it_stopped(engine: Context) -> None:
    job = begun(engine, 1)
    climbing = answered(flying(engine, job)[0], lambda item, todo: Escalate(reason="unsure"))
    first = settle_trail(engine, climbing)
    assert first is not None
    # It died before its message was out: what it decided on is ready again.
    with engine.db.writing() as tx:
        tx.execute(BatchRow.__table__.update().where(BatchRow.__table__.c.state == "sent").values(state="ready"))  # type: ignore[attr-defined]
    again = settle_trail(engine, climbing)
    assert again is not None
    assert [batch.tier.name for batch in flying(engine, job)] == ["frontier"]
    assert money(engine, job) == (1, PRICE_USD)


def test_concurrent_judges_settle_each_subtask_once(engine: Context) -> None:
    job = begun(engine, 60, steps=2)
    trails = [answered(batch, worker=f"w{n}") for batch in flying(engine, job) for n in range(2)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda trail: settle_trail(engine, trail), trails))
    work(engine, job)
    assert state(engine, job) == "done"
    assert money(engine, job) == (120, 120 * PRICE_USD)
    assert {row["n"] for row in rows(engine, AttemptRow, job=job)} == {0}


@pytest.mark.parametrize(
    ("verdict", "stands"),
    [
        pytest.param(Escalate(reason="unsure"), "open", id="climbs"),
        pytest.param(Review(reason="look"), "review", id="asks a person"),
        pytest.param(Reject(reason="no"), "failed", id="is given up"),
        pytest.param(Defer(cause=DeferCause.LIMIT, wait_s=60, reason="full"), "deferred", id="comes back later"),
        pytest.param(Defer(cause=DeferCause.STOPPING, wait_s=0, reason="stop"), "open", id="is handed back"),
        pytest.param(Defer(cause=DeferCause.CANCELLED, wait_s=0, reason="stop"), "open", id="was called off wrongly"),
    ],
)
def test_what_is_left_of_a_batch_stands_as_its_verdict_says(engine: Context, verdict: Refer, stands: str) -> None:
    job = begun(engine, 1)
    settle_trail(engine, answered(flying(engine, job)[0], lambda item, todo: verdict))
    assert subtasks(engine, job) == [stands]


def test_a_late_trail_of_work_that_went_on_without_it_only_brings_its_money(engine: Context) -> None:
    job = begun(engine, 1)
    old = flying(engine, job)[0]
    with engine.db.writing() as tx:
        tx.execute(BatchRow.__table__.update().values(state="dropped"))  # type: ignore[attr-defined]
        tx.execute(BatchRow.__table__.insert().values(**{**_row(engine, old.id), "id": "new", "state": "sent"}))  # type: ignore[attr-defined]
        tx.execute(SubtaskRow.__table__.update().values(batch="new", n=4, used=2))  # type: ignore[attr-defined]
    settle_trail(engine, answered(old, lambda item, todo: Escalate(reason="unsure")))
    (standing,) = rows(engine, SubtaskRow, job=job)
    assert (standing["state"], standing["batch"], standing["n"], standing["tier"]) == ("open", "new", 4, "cheap")
    assert money(engine, job) == (1, PRICE_USD)


def test_a_trail_that_newer_code_wrote_or_of_another_deployment_is_refused_and_nothing_breaks(engine: Context) -> None:
    job = begun(engine, 1)
    trail = answered(flying(engine, job)[0])
    assert judge_message(engine, '{"v": 99, "unknown": true}') is None
    assert judge_message(engine, trail.evolve(job="0101-ffffffff").model_dump_json()) is None
    assert judge_message(engine, Trail.model_validate_json(trail.model_dump_json()).model_dump_json()) is None
    assert state(engine, job) == "done"


def _row(engine: Context, batch: str) -> dict[str, object]:
    return dict(rows(engine, BatchRow, id=batch)[0])
