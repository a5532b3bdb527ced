"""The sweep on both databases: whatever was lost is sent again, and the job ends."""

import json
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from redis.exceptions import RedisError

from firstline.config.settings import get_settings
from firstline.orchestrator import api
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.engine import publish
from firstline.orchestrator.engine.lifecycle import settle_trail, start
from firstline.orchestrator.monitoring.live_workers import look
from firstline.orchestrator.service import sweep
from firstline.orchestrator.service.sweep import Rescue
from firstline.orchestrator.service.tasks import judge_message
from firstline.orchestrator.store.tables import BatchRow, ItemRow, JobRow, ShardRow, SubtaskRow
from firstline.schemas.plan import Step
from firstline.schemas.policy import Policy
from firstline.schemas.tier import Tier, TierKind
from firstline.schemas.verdict import Defer, DeferCause
from firstline.workers.durability.claims import ANSWERED, JUDGED, LOST
from tests.integration.jobs import (
    PROFILE,
    age,
    answered,
    batch_row,
    begun,
    change,
    flying,
    money,
    queued,
    rows,
    state,
    submitted,
    subtasks,
    work,
)
from tests.servers import free_port


def empty_queues(engine: Context) -> None:
    for key in engine.redis.scan_iter(f"{engine.settings.namespace}.*"):
        engine.redis.delete(key)


def claim(engine: Context, batch: str, text: str) -> None:
    engine.redis.set(engine.settings.keys.claim(batch), text)


def test_what_was_decided_and_never_published_is_published(engine: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    job = submitted(2)

    def dies(*_: object, **__: object) -> None:
        raise SystemExit

    with monkeypatch.context() as dying:
        dying.setattr(publish, "send_shard", dies)
        with pytest.raises(SystemExit):
            start(engine, job)
    assert {row["state"] for row in rows(engine, BatchRow, job=job)} == {"ready"}
    age(engine, job)
    assert sweep.publish_outbox(engine) == 2
    assert queued(engine, "cheap") == 2
    assert {row["state"] for row in rows(engine, BatchRow, job=job)} == {"sent"}


def test_half_a_chord_that_was_published_is_completed_and_its_shard_passes(engine: Context) -> None:
    job = begun(engine, 2)
    done, lost = flying(engine, job)
    change(engine, BatchRow, {"state": "ready"}, id=lost.id)
    settle_trail(engine, answered(done))
    age(engine, job)
    sweep.publish_outbox(engine)
    settle_trail(engine, answered(lost))
    assert state(engine, job) == "done"


@pytest.mark.parametrize(
    ("text", "is_sent_again"),
    [
        pytest.param(None, True, id="vanished from its queue"),
        pytest.param("dead-worker", True, id="its worker died"),
        pytest.param("live-worker", False, id="its worker lives"),
        pytest.param("forgetful-worker", True, id="its worker lives and does not have it"),
        pytest.param(f"{ANSWERED}0", True, id="its trail was lost on the way"),
        pytest.param(f"{ANSWERED}99999999999", False, id="its trail is on the way"),
        pytest.param(JUDGED, True, id="Redis takes it for judged, SQL does not"),
    ],
)
def test_a_batch_that_nobody_holds_is_sent_again(engine: Context, text: str | None, is_sent_again: bool) -> None:
    job = begun(engine, 1)
    (batch,) = flying(engine, job)
    empty_queues(engine)
    engine.redis.set(engine.settings.keys.heartbeat("live-worker"), json.dumps({"batches": [batch.id]}))
    engine.redis.set(engine.settings.keys.heartbeat("forgetful-worker"), '{"batches": []}')
    if text is not None:
        claim(engine, batch.id, text)
    age(engine, job)
    sweep.resend_lost(engine)
    assert queued(engine, "cheap") == int(is_sent_again)


def test_a_batch_that_waits_in_its_queue_is_not_sent_again_until_others_have_overtaken_it(engine: Context) -> None:
    keys = engine.settings.keys
    engine.redis.zadd(keys.workers, {"w": 1})
    engine.redis.set(keys.heartbeat("w"), '{"queues": ["cheap"]}')
    job = begun(engine, 1)
    age(engine, job)
    sweep.resend_lost(engine)
    assert queued(engine, "cheap") == 1
    age(engine, job, sweep.OVERTAKEN_S + 1)
    sweep.resend_lost(engine)
    assert queued(engine, "cheap") == 2


def test_a_clock_that_was_set_back_does_not_hide_what_was_lost(engine: Context) -> None:
    job = begun(engine, 1)
    empty_queues(engine)
    age(engine, job, -3600)
    sweep.resend_lost(engine)
    assert queued(engine, "cheap") == 1


def test_a_batch_that_kills_its_workers_is_taken_apart_and_only_the_poison_is_given_up(engine: Context) -> None:
    job = begun(engine, 40)
    batch = next(batch for batch in flying(engine, job) if len(batch.work) > 1)
    poison = batch.work[0].item

    def kill_all_with_poison() -> None:
        for one in flying(engine, job):
            if poison in {work.item for work in one.work}:
                claim(engine, one.id, "dead-worker")
        age(engine, job)
        sweep.resend_lost(engine)

    for _ in range(sweep.FAILURES_ALLOWED):
        kill_all_with_poison()
    assert batch_row(engine, batch.id)["state"] == "dropped"
    assert [len(one.work) for one in flying(engine, job) if poison in {work.item for work in one.work}] == [1]
    for _ in range(sweep.FAILURES_ALLOWED):
        kill_all_with_poison()
    work(engine, job)
    failed = [row for row in rows(engine, ItemRow, job=job) if row["state"] == "failed"]
    assert [row["n"] for row in failed] == [poison]
    assert "worker died 3 times" in failed[0]["reason"]
    assert state(engine, job) == "done"


def test_a_batch_that_is_judged_while_the_sweep_looks_is_left_alone(engine: Context) -> None:
    job = begun(engine, 1)
    (batch,) = flying(engine, job)
    stale = batch_row(engine, batch.id)
    settle_trail(engine, answered(batch))
    sweep._after_failure(engine, stale, JUDGED)
    assert batch_row(engine, batch.id)["lost"] == 0
    assert engine.redis.get(engine.settings.keys.claim(batch.id)) == JUDGED


def test_a_death_is_counted_once_however_long_the_next_worker_takes_to_start(engine: Context) -> None:
    job = begun(engine, 1)
    (batch,) = flying(engine, job)
    claim(engine, batch.id, "dead-worker")
    for _ in range(5):
        age(engine, job)
        sweep.resend_lost(engine)
    assert batch_row(engine, batch.id)["lost"] == 1
    assert queued(engine, "cheap") <= 3


def test_the_parts_of_a_batch_that_was_taken_apart_find_the_answers_that_were_paid_for_it(engine: Context) -> None:
    job = begun(engine, 40)
    batch = next(batch for batch in flying(engine, job) if len(batch.work) > 1)
    engine.redis.hset(engine.settings.keys.answers(batch.id), "0:s0:0", "an answer")
    for _ in range(sweep.FAILURES_ALLOWED):
        claim(engine, batch.id, "dead-worker")
        age(engine, job)
        sweep.resend_lost(engine)
    parts = [one for one in flying(engine, job) if {work.item for work in one.work} <= {w.item for w in batch.work}]
    assert len(parts) == len(batch.work)
    for part in parts:
        assert engine.redis.hgetall(engine.settings.keys.answers(part.id)) == {"0:s0:0": "an answer"}
        assert engine.redis.get(engine.settings.keys.claim(part.id)) == LOST


def test_deferred_subtasks_come_back_when_their_time_has_come(engine: Context) -> None:
    job = begun(engine, 1)
    later = Defer(cause=DeferCause.LIMIT, wait_s=3600, reason="full")
    settle_trail(engine, answered(flying(engine, job)[0], lambda item, todo: later))
    assert sweep.wake_due(engine) == 0
    change(engine, SubtaskRow, {"due_at": datetime.now(UTC) - timedelta(seconds=1)}, job=job)
    assert sweep.wake_due(engine) == 1
    work(engine, job)
    assert state(engine, job) == "done"


def test_a_shard_whose_chord_is_silent_is_closed_from_sql_and_the_window_moves_on(engine: Context) -> None:
    job = begun(engine, 450)
    first = rows(engine, ShardRow, job=job, n=0)[0]
    assert first["state"] == "cut"
    for batch in flying(engine, job):
        if batch.shard == 0:
            settle_trail(engine, answered(batch))
    assert rows(engine, ShardRow, job=job, n=0)[0]["state"] == "closed"
    age(engine, job)
    sweep.nudge(engine)
    work(engine, job)
    assert state(engine, job) == "done"
    assert money(engine, job)[0] == 450


def test_a_job_whose_message_to_begin_was_lost_is_begun(engine: Context) -> None:
    job = submitted(2)
    empty_queues(engine)
    assert state(engine, job) == "submitted"
    sweep.nudge(engine)
    assert state(engine, job) == "running"
    work(engine, job)
    assert state(engine, job) == "done"


def test_a_job_of_one_item_is_kept_while_redis_is_away_and_goes_on_when_it_is_back(
    engine: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its first step starts on two tiers: two messages, which would make a chord.
    steps = [Step(name=tier, skill="sort", policy=Policy(start=tier)) for tier in ("cheap", "frontier")]
    monkeypatch.setenv("FIRSTLINE_REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    get_settings.cache_clear()
    began = time.monotonic()
    job = submitted(1, steps=steps)
    assert time.monotonic() - began < 10
    assert "Redis could not be reached" in api.status(job).reason
    assert [row["state"] for row in rows(engine, BatchRow, job=job)] == ["ready", "ready"]
    age(engine, job)
    sweep.publish_outbox(engine)
    assert (queued(engine, "cheap"), queued(engine, "frontier")) == (1, 1)
    work(engine, job)
    assert (state(engine, job), api.status(job).reason) == ("done", None)


def test_a_job_of_one_item_that_starts_on_two_tiers_is_sent_where_it_is_submitted(engine: Context) -> None:
    steps = [Step(name=tier, skill="sort", policy=Policy(start=tier)) for tier in ("cheap", "frontier")]
    job = submitted(1, steps=steps)
    assert (queued(engine, "cheap"), queued(engine, "frontier")) == (1, 1)
    assert [row["state"] for row in rows(engine, BatchRow, job=job)] == ["sent", "sent"]
    work(engine, job)
    assert state(engine, job) == "done"


def test_everything_redis_held_may_be_wiped_and_the_job_ends(engine: Context) -> None:
    job = begun(engine, 30, steps=2)
    engine.redis.flushdb()
    age(engine, job)
    sweep.resend_lost(engine)
    assert queued(engine, "cheap") == len(flying(engine, job))
    work(engine, job)
    assert state(engine, job) == "done"


def test_only_one_orchestrator_leads_and_another_takes_over(engine: Context) -> None:
    one, two = Rescue(engine), Rescue(engine)
    assert one._leads()
    assert not two._leads()
    assert one._leads()
    one.abdicate()
    assert two._leads()


def test_a_sweep_without_redis_is_postponed(engine: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def gone(*_: object, **__: object) -> bool:
        asked.append(_)
        raise RedisError

    monkeypatch.setattr(engine.redis, "set", gone)
    ticker = Rescue(engine).ticker
    ticker.every_s = 0.01
    ticker.start()
    while len(asked) < 3:
        time.sleep(0.01)
    ticker.stop()
    assert ticker._thread is not None
    assert not ticker._thread.is_alive()


def test_after_a_redis_that_was_away_workers_have_to_be_heard_before_one_counts_as_dead(
    engine: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    rescue = Rescue(engine, clock=lambda: now[0], _met_at=100.0)
    job = begun(engine, 1)
    (batch,) = flying(engine, job)
    age(engine, job)
    claim(engine, batch.id, "a worker that could not say that it lives")

    def turns(seconds: float, *, is_away: bool = False) -> int:
        for _ in range(int(seconds * 4)):
            now[0] += 0.25
            with monkeypatch.context() as away, suppress(RedisError):
                if is_away:
                    away.setattr(rescue, "_leads", fails)
                rescue._turn()
        return int(batch_row(engine, batch.id)["lost"])

    def fails() -> bool:
        raise RedisError

    assert turns(1, is_away=True) == 0
    assert turns(engine.settings.dead_after_s - 1) == 0
    assert turns(3) == 1
    change(engine, BatchRow, {"changed_at": datetime.now(UTC) - timedelta(hours=1)}, id=batch.id)
    claim(engine, batch.id, "one of whom this process heard nothing while it was stopped")
    now[0] += 60
    assert turns(3) == 1
    assert turns(engine.settings.dead_after_s) == 2


def test_a_job_past_its_deadline_fails_what_has_not_settled(engine: Context) -> None:
    job = begun(engine, 2, deadline=datetime.now(UTC) + timedelta(hours=1))
    settle_trail(engine, answered(flying(engine, job)[0]))
    sweep.end_hopeless(engine)
    assert state(engine, job) == "running"
    change(engine, JobRow, {"deadline": datetime.now(UTC) - timedelta(seconds=1)}, id=job)
    sweep.end_hopeless(engine)
    assert state(engine, job) == "failed"
    assert sorted(row["state"] for row in rows(engine, ItemRow, job=job)) == ["failed", "settled"]
    assert "deadline" in rows(engine, ItemRow, job=job, state="failed")[0]["reason"]
    assert engine.redis.exists(engine.settings.keys.cancel(job))


def test_a_job_whose_producer_died_while_it_handed_items_in_is_ended(engine: Context) -> None:
    job = submitted(3)
    change(engine, JobRow, {"state": "receiving"}, id=job)
    sweep.end_hopeless(engine)
    assert state(engine, job) == "receiving"
    change(engine, JobRow, {"heard_at": datetime.now(UTC) - timedelta(hours=1)}, id=job)
    sweep.end_hopeless(engine)
    assert state(engine, job) == "failed"
    assert "producer" in rows(engine, JobRow, id=job)[0]["reason"]
    assert subtasks(engine, job) == []


def spoil(engine: Context, job: str) -> None:
    """Let a job's plan be one that nobody can read."""
    change(engine, JobRow, {"plan": {"nonsense": True}, "plan_version": 9}, id=job)


def test_a_job_that_cannot_be_read_keeps_no_other_from_being_swept(engine: Context) -> None:
    broken, sound = begun(engine, 1), begun(engine, 1)
    empty_queues(engine)
    spoil(engine, broken)
    for job in (broken, sound):
        age(engine, job)
    Rescue(engine).sweep()
    assert queued(engine, "cheap") == 1
    work(engine, sound)
    assert state(engine, sound) == "done"
    assert "could not be done" in rows(engine, JobRow, id=broken)[0]["reason"]


def test_what_is_due_of_a_job_that_cannot_be_read_stands_before_nobody_elses(
    engine: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "_DEFERRED_AT_ONCE", 2)
    later = Defer(cause=DeferCause.LIMIT, wait_s=3600, reason="full")
    broken, sound = begun(engine, 3), begun(engine, 1)
    for job in (broken, sound):
        for batch in flying(engine, job):
            settle_trail(engine, answered(batch, lambda item, todo: later))
        change(engine, SubtaskRow, {"due_at": datetime.now(UTC) - timedelta(hours=1 + (job == broken))}, job=job)
    spoil(engine, broken)
    assert sweep.wake_due(engine) == 1
    work(engine, sound)
    assert state(engine, sound) == "done"


def test_a_job_that_cannot_be_read_keeps_no_other_ones_student_from_being_taught(
    engine: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    from firstline.orchestrator.quality.students.school import School

    looked: list[str] = []
    monkeypatch.setattr(School, "_look", lambda _self, _engine, subject: looked.append(subject.job.id))
    with_student = PROFILE.evolve(tiers=(Tier(name="own", kind=TierKind.STUDENT), *PROFILE.tiers))
    broken, sound = begun(engine, 1), begun(engine, 1, profile=with_student)
    spoil(engine, broken)
    sweep._teach(engine)
    assert looked == [sound]


@pytest.mark.parametrize("sign", ["no JSON", "[]", '{"batches": 3, "queues": {"a": []}}', "[" * 100_000])
def test_what_workers_left_in_redis_and_nobody_can_read_stops_no_sweep(engine: Context, sign: str) -> None:
    first, second, third = (begun(engine, 1) for _ in range(3))
    claims = dict(zip((first, second, third), ("odd", "odd", f"{ANSWERED}soon"), strict=True))
    engine.redis.zadd(engine.settings.keys.workers, {"odd": 1})
    engine.redis.set(engine.settings.keys.heartbeat("odd"), sign)
    empty_queues(engine)
    for job, text in claims.items():
        claim(engine, flying(engine, job)[0].id, text)
        age(engine, job)
    assert sweep.resend_lost(engine) == 3
    assert look(engine.redis, engine.settings.keys).silent_s.keys() == {"odd"}


def test_a_message_that_cannot_be_read_three_times_ends_its_subtasks_with_the_reason(engine: Context) -> None:
    job = begun(engine, 1)
    for _ in range(sweep.FAILURES_ALLOWED):
        (batch,) = flying(engine, job)
        trail = answered(batch).model_dump_json()
        assert judge_message(engine, trail[:-1] + ',"more":1}') is None
        age(engine, job)
        sweep.resend_lost(engine)
    assert state(engine, job) == "done"
    (item,) = rows(engine, ItemRow, job=job)
    assert item["state"] == "failed"
    assert "could not be, 3 times: more: Extra inputs are not permitted" in item["reason"]


def test_a_message_of_newer_code_waits_for_who_can_read_it(engine: Context) -> None:
    job = begun(engine, 1)
    for _ in range(sweep.FAILURES_ALLOWED + 1):
        (batch,) = flying(engine, job)
        assert judge_message(engine, answered(batch).evolve(v=99).model_dump_json()[:-1] + ',"more":1}') is None
        age(engine, job)
        sweep.resend_lost(engine)
    assert state(engine, job) == "running"


def test_a_trail_that_cannot_be_written_down_is_given_up_with_the_reason(
    engine: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = begun(engine, 1)

    def fails(*_: object, **__: object) -> None:
        raise ValueError("a figure too large for its column")

    with monkeypatch.context() as failing:
        failing.setattr("firstline.orchestrator.service.tasks.settle_trail", fails)
        for _ in range(sweep.FAILURES_ALLOWED):
            (batch,) = flying(engine, job)
            assert judge_message(engine, answered(batch).model_dump_json()) is None
            age(engine, job)
            sweep.resend_lost(engine)
    assert state(engine, job) == "done"
    assert "ValueError" in rows(engine, ItemRow, job=job)[0]["reason"]
