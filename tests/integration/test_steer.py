"""Pause, resume, cancel, retry and budgets on both databases: nothing that has settled is paid again."""

import pytest

from firstline.config.shared_state.budget_counters import read
from firstline.orchestrator import api
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.engine.lifecycle import cancel, pause, resume, retry, settle_trail
from firstline.orchestrator.service import sweep
from firstline.orchestrator.store.tables import AttemptRow, ItemRow, JobRow, SubtaskRow
from firstline.schemas.batch import Todo
from firstline.schemas.errors import UserError
from firstline.schemas.plan import Step, StepKind
from firstline.schemas.verdict import Defer, DeferCause, Parked, Reject
from tests.integration.jobs import (
    PRICE_USD,
    age,
    answered,
    begun,
    cut,
    flying,
    money,
    rows,
    state,
    submitted,
    subtasks,
    work,
)


def no(item: int, todo: Todo) -> Parked | None:
    return Reject(reason="no")


def odd(item: int, todo: Todo) -> Parked | None:
    return Reject(reason="odd") if item % 2 else None


def test_what_is_under_way_when_a_job_is_paused_comes_in_and_is_not_sent_twice(engine: Context) -> None:
    job = begun(engine, 4)
    first, *others = flying(engine, job)
    assert pause(engine, job, reason="lunch")
    assert settle_trail(engine, answered(first)) is None
    assert resume(engine, job)
    cut(engine, job)
    assert {batch.id for batch in flying(engine, job)} == {batch.id for batch in others}
    work(engine, job)
    assert state(engine, job) == "done"
    assert money(engine, job) == (4, 4 * PRICE_USD)


def test_a_paused_job_sends_nothing_and_says_why(engine: Context) -> None:
    job = begun(engine, 2, steps=2)
    assert pause(engine, job, reason="lunch")
    assert not pause(engine, job, reason="lunch")
    for batch in flying(engine, job):
        assert settle_trail(engine, answered(batch)) is None
    age(engine, job)
    sweep.publish_outbox(engine)
    sweep.nudge(engine)
    assert api.status(job).reason == "lunch"
    assert state(engine, job) == "paused"
    resume(engine, job)
    age(engine, job)
    sweep.publish_outbox(engine)
    work(engine, job)
    assert state(engine, job) == "done"


def test_the_last_answers_may_come_in_while_a_job_is_paused(engine: Context) -> None:
    job = begun(engine, 1)
    (batch,) = flying(engine, job)
    pause(engine, job, reason="lunch")
    settle_trail(engine, answered(batch))
    assert state(engine, job) == "paused"
    resume(engine, job)
    sweep.nudge(engine)
    assert state(engine, job) == "done"
    assert money(engine, job)[0] == 1


def test_a_cancelled_job_keeps_what_has_settled_and_records_what_comes_late(engine: Context) -> None:
    job = begun(engine, 3)
    first, second, _ = flying(engine, job)
    settle_trail(engine, answered(first))
    assert cancel(engine, job, reason="enough")
    assert not cancel(engine, job, reason="enough")
    assert engine.redis.exists(engine.settings.keys.cancel(job))
    settle_trail(engine, answered(second))
    sweep.nudge(engine)
    assert state(engine, job) == "cancelled"
    assert sorted(row["state"] for row in rows(engine, ItemRow, job=job)) == ["cancelled", "cancelled", "settled"]
    assert money(engine, job) == (2, 2 * PRICE_USD)


def test_retry_asks_only_what_failed(engine: Context) -> None:
    job = begun(engine, 4, steps=2)
    work(engine, job, lambda item, todo: Reject(reason="no") if item < 2 and todo.step == "s1" else None)
    assert state(engine, job) == "done"
    assert money(engine, job)[0] == 8
    assert retry(engine, job, item_ids=None) == 2
    asked: list[tuple[int, str]] = []

    def note(item: int, todo: Todo) -> None:
        asked.append((item, todo.step))

    work(engine, job, note)
    assert sorted(asked) == [(0, "s1"), (1, "s1")]
    assert state(engine, job) == "done"
    assert money(engine, job)[0] == 10
    assert {row["n"] for row in rows(engine, AttemptRow, job=job, item=0, step="s1")} == {0, 1}


def test_retry_takes_named_items_of_a_cancelled_job(engine: Context) -> None:
    job = begun(engine, 3)
    cancel(engine, job, reason="enough")
    assert retry(engine, job, item_ids=["i1"]) == 1
    work(engine, job)
    assert {row["item_id"]: row["state"] for row in rows(engine, ItemRow, job=job)} == {
        "i0": "cancelled",
        "i1": "settled",
        "i2": "cancelled",
    }
    assert state(engine, job) == "done"
    assert not engine.redis.exists(engine.settings.keys.cancel(job))


def test_retry_of_a_job_whose_synthesis_failed_goes_through_the_barrier_again(engine: Context) -> None:
    steps = [Step(name="s", skill="sort"), Step(name="all", kind=StepKind.SYNTHESIZE, skill="sort", scope="job")]
    job = begun(engine, 2, steps=steps)
    work(engine, job, lambda item, todo: Reject(reason="no") if item < 0 else None)
    assert state(engine, job) == "failed"
    assert retry(engine, job, item_ids=None) >= 1
    work(engine, job)
    assert state(engine, job) == "done"
    assert money(engine, job)[0] == 4


def test_retry_refuses_a_running_job_and_items_that_were_refused_at_the_door(engine: Context) -> None:
    job = begun(engine, 1)
    with pytest.raises(UserError, match="pause it"):
        retry(engine, job, item_ids=None)
    work(engine, job)
    assert retry(engine, job, item_ids=None) == 0


def test_duplicates_take_over_the_result_of_their_first_and_are_tried_again_with_it(engine: Context) -> None:
    job = api_submit_twins(engine)
    work(engine, job, no)
    assert [row["state"] for row in rows(engine, ItemRow, job=job)] == ["failed", "failed"]
    assert retry(engine, job, item_ids=["b"]) == 2
    work(engine, job)
    assert [row["state"] for row in rows(engine, ItemRow, job=job)] == ["settled", "settled"]
    assert [row["attempts"] for row in rows(engine, ItemRow, job=job)] == [2, 0]


def api_submit_twins(engine: Context) -> str:
    from firstline.schemas.job import JobRequest, Options
    from tests.integration.jobs import PROFILE, workflow

    request = JobRequest(workflow=workflow(), profile=PROFILE, options=Options())
    job = api.submit(request, [{"id": "a", "text": "same"}, {"id": "b", "text": "same"}])
    sweep.nudge(engine)
    return job


def test_a_job_pauses_at_its_budget_and_goes_on_when_that_is_raised(engine: Context) -> None:
    job = begun(engine, 2, budget_usd=0.25)
    over = Defer(cause=DeferCause.BUDGET, wait_s=0, reason="the cap is reached")
    work_one, refused = flying(engine, job)
    settle_trail(engine, answered(work_one))
    settle_trail(engine, answered(refused, lambda item, todo: over).evolve())
    assert state(engine, job) == "paused"
    assert "firstline budget" in str(rows(engine, JobRow, id=job)[0]["reason"])
    assert api.raise_budget(job, 1.0) == 1.25
    told = read(engine.redis, engine.settings.keys, f"job.{job}")
    assert told is not None
    assert told.cap_usd == 1.25
    work(engine, job)
    assert state(engine, job) == "done"
    assert subtasks(engine, job) == ["settled", "settled"]


def test_work_whose_tasks_redis_no_longer_knows_the_budget_of_is_told_again(engine: Context) -> None:
    job = begun(engine, 1, budget_usd=5)
    engine.redis.flushdb()
    forgotten = Defer(cause=DeferCause.BUDGET_UNKNOWN, wait_s=1, reason="unknown")
    settle_trail(engine, answered(flying(engine, job)[0], lambda item, todo: forgotten))
    told = read(engine.redis, engine.settings.keys, f"job.{job}")
    assert told is not None
    assert told.cap_usd == 5


def test_handed_back_work_goes_on_with_its_attempts_counted(engine: Context) -> None:
    job = begun(engine, 1)
    back = Defer(cause=DeferCause.STOPPING, wait_s=0, reason="its worker was stopped")
    assert settle_trail(engine, answered(flying(engine, job)[0], lambda item, todo: back)) is not None
    (standing,) = rows(engine, SubtaskRow, job=job)
    assert (standing["state"], standing["n"]) == ("open", 1)
    work(engine, job)
    assert state(engine, job) == "done"


def test_a_job_that_nobody_knows_is_a_sentence(engine: Context) -> None:
    for act in (api.pause, api.resume, api.cancel, api.retry, api.status):
        with pytest.raises(UserError, match="there is no job"):
            act("0101-00000000")


def test_a_job_that_is_submitted_twice_under_one_key_is_one(engine: Context) -> None:
    del engine
    assert submitted(1) != submitted(1)
