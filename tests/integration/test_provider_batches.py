"""Bulks on both databases: filled, submitted, looked after, collected, refused, dropped, and out of time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from firstline.orchestrator.core.context import Context
from firstline.orchestrator.engine import provider_batches
from firstline.orchestrator.engine.lifecycle import cancel, resume, settle_trail
from firstline.orchestrator.service import sweep
from firstline.orchestrator.store.tables import BatchRow, DecisionRow, JobRow, ProviderBatchRow
from firstline.schemas.batch import Todo
from firstline.schemas.provider_batch import ProviderBatchNews, ProviderBatchState
from firstline.schemas.tier import Profile, ProviderBatchTerms, Tier, TierKind
from firstline.schemas.verdict import Defer, DeferCause, Parked
from tests.integration.jobs import (
    MODEL,
    PROFILE,
    age,
    answered,
    begun,
    change,
    cut,
    flying,
    money,
    queued,
    rows,
    state,
    subtasks,
    work,
)

OVERNIGHT = Tier(
    name="overnight",
    kind=TierKind.BATCH,
    models=(MODEL,),
    bulk=ProviderBatchTerms(requests=4, fill_s=30, poll_s=5, window_s=3600),
)
LADDER = Profile(name="waits", tiers=(OVERNIGHT, *PROFILE.tiers))


def waiting(engine: Context, count: int, **options: Any) -> str:
    """A job whose items wait for a bulk."""
    return begun(engine, count, profile=LADDER, **{"tiers": ("overnight", "cheap", "frontier"), **options})


def told(engine: Context, job: str, state: ProviderBatchState, **more: Any) -> None:
    for row in rows(engine, ProviderBatchRow, job=job):
        if row["state"] not in ("collected", "refused", "dropped"):
            provider_batches.hear(engine, ProviderBatchNews(id=row["id"], job=job, state=state, **more))


def states(engine: Context, job: str) -> list[str]:
    return sorted(row["state"] for row in rows(engine, ProviderBatchRow, job=job))


def later(engine: Context, job: str) -> None:
    change(engine, ProviderBatchRow, {"due_at": datetime.now(UTC) - timedelta(seconds=1)}, job=job)


def test_what_waits_is_sent_nowhere_until_a_bulk_is_full_or_old(engine: Context) -> None:
    job = waiting(engine, 6)
    assert flying(engine, job) == []
    assert queued(engine, "overnight") == 0
    assert provider_batches.fill(engine) == 1
    assert provider_batches.fill(engine) == 0
    age(engine, job, 60)
    assert provider_batches.fill(engine) == 1
    assert sorted(row["requests"] for row in rows(engine, ProviderBatchRow, job=job)) == [2, 4]
    assert {row["state"] for row in rows(engine, BatchRow, job=job)} == {"handed_in"}


def test_a_bulk_goes_all_its_way_and_its_batches_are_judged_like_any(engine: Context) -> None:
    job = waiting(engine, 4)
    provider_batches.fill(engine)
    assert provider_batches.look_after(engine) == 1
    assert provider_batches.look_after(engine) == 0
    told(engine, job, ProviderBatchState.SUBMITTED, provider_id="batch_1", model=MODEL.name, requests=4)
    later(engine, job)
    assert provider_batches.look_after(engine) == 1
    told(engine, job, ProviderBatchState.ENDED)
    later(engine, job)
    assert provider_batches.look_after(engine) == 1
    assert queued(engine, "overnight") == 3
    told(engine, job, ProviderBatchState.COLLECTED, answered=3)
    told(engine, job, ProviderBatchState.COLLECTED, answered=3)
    assert states(engine, job) == ["collected"]

    def expired(item: int, todo: Todo) -> Parked | None:
        return Defer(cause=DeferCause.BULK, wait_s=0, reason="waits") if item == 3 else None

    for batch in flying(engine, job):
        settle_trail(engine, answered(batch, expired))
    assert sorted(subtasks(engine, job)) == ["open", "settled", "settled", "settled"]
    age(engine, job, 60)
    assert provider_batches.fill(engine) == 1
    told(engine, job, ProviderBatchState.COLLECTED, answered=1)
    work(engine, job)
    assert state(engine, job) == "done"
    assert money(engine, job)[0] == 5


def test_answers_that_redis_lost_before_they_were_judged_are_collected_again(engine: Context) -> None:
    job = waiting(engine, 4)
    provider_batches.fill(engine)
    told(
        engine, job, ProviderBatchState.SUBMITTED, provider_id="batch_1", model=MODEL.name, requests=4, reserved_usd=0.5
    )
    told(engine, job, ProviderBatchState.ENDED)
    told(engine, job, ProviderBatchState.COLLECTED, answered=4)
    assert len(flying(engine, job)) == 4
    engine.redis.flushdb()
    age(engine, job, 600)
    assert sweep.resend_lost(engine) == 0
    (bulk,) = rows(engine, ProviderBatchRow, job=job)
    assert (bulk["state"], bulk["provider_id"], bulk["reserved_usd"]) == ("ended", "batch_1", None)
    assert {row["state"] for row in rows(engine, BatchRow, job=job)} == {"handed_in"}
    assert provider_batches.look_after(engine) == 1
    told(engine, job, ProviderBatchState.COLLECTED, answered=4)
    work(engine, job)
    assert state(engine, job) == "done"


def test_answers_that_are_kept_are_not_collected_again(engine: Context) -> None:
    job = waiting(engine, 4)
    provider_batches.fill(engine)
    told(engine, job, ProviderBatchState.COLLECTED, answered=4)
    sent = flying(engine, job)
    for batch in sent:
        engine.redis.hset(engine.settings.keys.answers(batch.id), "0:s0:1", "{}")
    engine.redis.delete(*engine.redis.scan_iter(f"{engine.settings.keys.queue('overnight')}*"))
    age(engine, job, 600)
    assert sweep.resend_lost(engine) == len(sent)
    assert states(engine, job) == ["collected"]


def test_a_worker_that_says_nothing_is_told_again(engine: Context) -> None:
    job = waiting(engine, 4)
    provider_batches.fill(engine)
    assert provider_batches.look_after(engine) == 1
    later(engine, job)
    assert provider_batches.look_after(engine) == 1
    assert states(engine, job) == ["submitting"]


def test_the_sweep_leaves_alone_what_is_in_a_bulk(engine: Context) -> None:
    job = waiting(engine, 4)
    provider_batches.fill(engine)
    age(engine, job, 600)
    sweep.publish_outbox(engine)
    sweep.resend_lost(engine)
    sweep.nudge(engine)
    cut(engine, job)
    assert len(rows(engine, BatchRow, job=job)) == 4
    assert flying(engine, job) == []


def test_a_bulk_that_a_budget_refuses_pauses_the_job_and_is_filled_again_when_that_is_raised(engine: Context) -> None:
    job = waiting(engine, 4, budget_usd=1)
    provider_batches.fill(engine)
    over = Defer(cause=DeferCause.BUDGET, wait_s=0, reason="budget: full", budget=f"job.{job}", cap_usd=1)
    told(engine, job, ProviderBatchState.REFUSED, defer=over)
    assert state(engine, job) == "paused"
    assert provider_batches.fill(engine) == 0
    change(engine, JobRow, {"budget_usd": 9.0}, id=job)
    assert resume(engine, job)
    assert provider_batches.fill(engine) == 1
    assert states(engine, job) == ["refused", "submitting"]


def test_a_bulk_that_nobody_takes_says_so_and_waits(engine: Context) -> None:
    job = waiting(engine, 4)
    provider_batches.fill(engine)
    down = Defer(cause=DeferCause.NO_MODEL, wait_s=5, reason="no model of tier 'overnight' can be called now")
    told(engine, job, ProviderBatchState.REFUSED, defer=down)
    assert state(engine, job) == "running"
    assert "no model" in str(rows(engine, JobRow, id=job)[0]["reason"])
    assert {row["state"] for row in rows(engine, BatchRow, job=job)} == {"filling"}


def test_the_bulk_of_a_cancelled_job_is_called_off(engine: Context) -> None:
    job = waiting(engine, 4)
    provider_batches.fill(engine)
    told(engine, job, ProviderBatchState.SUBMITTED, provider_id="batch_1", model=MODEL.name, requests=4)
    cancel(engine, job, reason="enough")
    later(engine, job)
    assert provider_batches.look_after(engine) == 1
    assert states(engine, job) == ["dropped"]


@pytest.mark.parametrize(("left", "climbs"), [(timedelta(minutes=5), True), (timedelta(hours=5), False)])
def test_what_there_is_no_more_time_for_climbs(engine: Context, left: timedelta, climbs: bool) -> None:
    job = waiting(engine, 4, deadline=datetime.now(UTC) + left)
    provider_batches.fill(engine)
    assert [batch.tier.name for batch in flying(engine, job)] == (["cheap"] * 4 if climbs else [])
    assert len(rows(engine, ProviderBatchRow, job=job)) == (0 if climbs else 1)
    if climbs:
        work(engine, job)
        assert state(engine, job) == "done"


def fails(engine: Context, job: str, why: str = "Enqueued token limit reached") -> None:
    """One more provider batch that brings nothing, a while after the last one."""
    past = datetime.now(UTC) - timedelta(hours=2)
    change(engine, ProviderBatchRow, {"ended_at": past}, job=job)
    age(engine, job, 60)
    assert provider_batches.fill(engine) == 1
    told(engine, job, ProviderBatchState.COLLECTED, requests=4, answered=0, reason=why)
    for batch in flying(engine, job):
        settle_trail(engine, answered(batch, waits))


def waits(item: int, todo: Todo) -> Parked | None:
    return Defer(cause=DeferCause.BULK, wait_s=0, reason="waits")


def test_what_fails_backs_off_says_the_providers_words_and_then_climbs(engine: Context) -> None:
    job = waiting(engine, 4)
    fails(engine, job)
    assert "Enqueued token limit reached" in str(rows(engine, JobRow, id=job)[0]["reason"])
    age(engine, job, 60)
    assert provider_batches.fill(engine) == 0
    for _ in range(provider_batches.PATIENCE - 1):
        fails(engine, job)
    assert provider_batches.fill(engine) == 0
    assert {batch.tier.name for batch in flying(engine, job)} == {"cheap"}
    work(engine, job)
    assert state(engine, job) == "done"
    reasons = [row["reason"] for row in rows(engine, DecisionRow, job=job)]
    assert any("Enqueued token limit reached" in reason for reason in reasons)


def test_without_a_tier_above_it_goes_on_trying_ever_more_seldom(engine: Context) -> None:
    job = waiting(engine, 4, tiers=("overnight",))
    for _ in range(provider_batches.PATIENCE + 2):
        fails(engine, job)
    assert state(engine, job) == "running"
    terms = OVERNIGHT.bulk
    assert [provider_batches.backoff_s(n, terms) for n in (1, 2, 3, 20)] == [30, 60, 120, 3600]


def test_one_answer_ends_the_patience_anew(engine: Context) -> None:
    job = waiting(engine, 4)
    fails(engine, job)
    past = datetime.now(UTC) - timedelta(hours=1)
    change(engine, ProviderBatchRow, {"ended_at": past}, job=job)
    age(engine, job, 60)
    assert provider_batches.fill(engine) == 1
    told(engine, job, ProviderBatchState.COLLECTED, requests=4, answered=1)
    for batch in flying(engine, job):
        settle_trail(engine, answered(batch, lambda item, todo: None if item == 0 else waits(item, todo)))
    age(engine, job, 60)
    assert provider_batches.fill(engine) == 1


def test_what_a_worker_is_at_is_not_ordered_again(engine: Context) -> None:
    job = waiting(engine, 4)
    provider_batches.fill(engine)
    (row,) = rows(engine, ProviderBatchRow, job=job)
    engine.redis.set(engine.settings.keys.lease(row["id"]), "somebody", ex=30)
    assert provider_batches.look_after(engine) == 0
    later(engine, job)
    assert provider_batches.look_after(engine) == 0
    engine.redis.delete(engine.settings.keys.lease(row["id"]))
    later(engine, job)
    assert provider_batches.look_after(engine) == 1
    assert rows(engine, ProviderBatchRow, job=job)[0]["tries"] == 1


def test_what_is_too_large_for_the_provider_is_handed_in_in_parts(engine: Context) -> None:
    job = waiting(engine, 4)
    provider_batches.fill(engine)
    told(engine, job, ProviderBatchState.REFUSED, reason="4 requests are more than one batch takes", fits=2)
    assert provider_batches.fill(engine) == 2
    found = rows(engine, ProviderBatchRow, job=job, state="submitting")
    assert [row["requests"] for row in found] == [2, 2]
