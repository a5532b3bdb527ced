"""A student in a job: learnt while it runs, served by the worker's own step, audited, stopped, and on record."""

import asyncio
import time
from datetime import UTC, datetime

import numpy as np
import pytest
import redis.asyncio

from firstline.orchestrator import api
from firstline.orchestrator.engine.lifecycle import settle_trail, start
from firstline.orchestrator.quality.students import school
from firstline.orchestrator.quality.students.listing import standings
from firstline.orchestrator.quality.students.promise import promise_for
from firstline.orchestrator.quality.students.school import DELTA, School
from firstline.orchestrator.service.sweep import wake_due
from firstline.orchestrator.store import decisions
from firstline.orchestrator.store.quality_tables import StudentRow
from firstline.orchestrator.store.tables import AttemptRow, SubtaskRow
from firstline.schemas.attempt import Attempt
from firstline.schemas.batch import Batch, ItemTrail, Settled, Trail
from firstline.schemas.job import JobRequest, Options
from firstline.schemas.plan import Step, Workflow
from firstline.schemas.policy import Policy
from firstline.schemas.tier import Profile, Tier, TierKind
from firstline.workers.durability.students import Students
from firstline.workers.execution import student_step
from firstline.workers.execution.attempt_state import AttemptState
from firstline.workers.execution.student_step import AUDITED, answer_by_student
from firstline.workers.execution.subtask import Subtask
from tests.integration.jobs import PROFILE, SKILL, cut, flying, rows

TOPICS = {"card": "my bank card is lost", "rate": "what is the exchange rate", "top": "please top up my account"}
LOSS = 0.2
CLOSED = SKILL.model_copy(
    update={
        "policy": Policy(max_loss=LOSS),
        "output": {
            "type": "object",
            "properties": {"label": {"enum": list(TOPICS)}},
            "required": ["label"],
            "additionalProperties": False,
        },
    }
)
WITH_STUDENT = Profile(name="test", tiers=(Tier(name="own", kind=TierKind.STUDENT), *PROFILE.tiers))


def tickets(count, seed=0):
    rng = np.random.default_rng(seed)
    for n in range(count):
        label = list(TOPICS)[rng.integers(3)]
        words = [*rng.choice(TOPICS[label].split(), 3), *rng.choice(["hello", "now", "why", "can"], 2)]
        yield {"id": f"i{n}", "text": f"{' '.join(words)} {n}", "is": label}


def begun(engine, items, *, skill=CLOSED, profile=WITH_STUDENT):
    workflow = Workflow(name="w", steps=(Step(name="s0", skill="sort"),), skills=(skill,))
    request = JobRequest(workflow=workflow, profile=profile, options=Options(dedupe=False))
    job = api.submit(request, iter(items))
    start(engine, job)
    return job


class OneWorker:
    """Answers batches: models as told, students by the worker's own step."""

    def __init__(self, engine, right):
        self.right, self.tiers, self.engine = right, [], engine
        self.students = Students(
            redis.asyncio.from_url(engine.settings.redis_url, decode_responses=True), engine.settings.keys
        )

    async def answer(self, batch: Batch) -> Trail:
        self.tiers.append(batch.tier.name)
        items = [await self.item(batch, work) for work in batch.work]
        return Trail(
            batch=batch.id,
            job=batch.job,
            segment=batch.segment,
            shard=batch.shard,
            tier=batch.tier.name,
            worker="w",
            items=tuple(items),
        )

    async def item(self, batch, work):
        todo = work.todo[0]
        if batch.tier.kind is TierKind.STUDENT:
            subtask = Subtask(batch, work, batch.steps[0], todo, {}, {}, {})
            state = AttemptState.of(todo)
            outcome = state.end(await answer_by_student(subtask, {"text": work.input["text"]}, state, self))
            settled = (outcome.end,) if isinstance(outcome.end, Settled) else ()
            left = () if settled else (outcome.end,)
            return ItemTrail(item=work.item, attempts=outcome.attempts, settled=settled, left=left)
        value = {"label": self.right(work)}
        attempt = Attempt(
            item=work.item,
            step="s0",
            n=todo.n,
            tier=batch.tier.name,
            model=batch.tier.models[0].name,
            started_at=datetime.now(UTC),
            latency_s=0.1,
            cost_usd=0.01,
            value=value,
            verdict="accept",
            skill="sort",
        )
        return ItemTrail(
            item=work.item, attempts=(attempt,), settled=(Settled(step="s0", n=todo.n, value=value),), left=()
        )


def run(engine, job, right, *, turns=200):
    """Play a job to its end, with a look of the school after every turn; return the worker and the school."""
    worker, school = OneWorker(engine, right), School()

    async def play():
        for _ in range(turns):
            wake_due(engine)
            cut(engine, job)
            out = flying(engine, job)
            if not out:
                return
            for batch in out:
                settle_trail(engine, await worker.answer(batch))
            school.teach(engine)
            for future in list(school._training.values()):
                future.exception(timeout=60)
            school.teach(engine)
            worker.students._known.clear()
            time.sleep(0.02)
        raise AssertionError("the job does not come to an end")

    asyncio.run(play())
    return worker, school


@pytest.fixture
def small_steps(monkeypatch):
    """Students learn from few labels, so that a test has few items."""
    monkeypatch.setattr("firstline.orchestrator.quality.students.course._FIRST", (100, 100))
    # On a busy machine a look is slow, and the rest after it longer than all items take.
    monkeypatch.setattr(school, "RESTS", 0)
    monkeypatch.setattr("firstline.workers.execution.student_step.WAIT_S", 0.0)
    monkeypatch.setattr("firstline.workers.execution.student_step.AGAIN_S", 0.01)
    # A promise of 90% holds nine times in ten: the coins are the same in each run, whatever the job's id.
    tossed = student_step.is_audited
    monkeypatch.setattr(student_step, "is_audited", lambda job, item, step, share: tossed("job", item, step, share))


def test_a_student_takes_over_while_the_job_runs_and_what_it_serves_is_on_record(engine, small_steps):
    job = begun(engine, tickets(600))
    run(engine, job, lambda work: work.input["is"])
    served = rows(engine, SubtaskRow, job=job, tier="own", state="settled")
    assert len(served) > 200
    truth = [item["is"] for item in tickets(600)]
    assert np.mean([row["value"]["label"] != truth[row["item"]] for row in served]) < 0.05
    attempts = rows(engine, AttemptRow, job=job, tier="own")
    assert {row["cost_usd"] for row in attempts} == {0.0}
    audits = [row for row in attempts if row["reason"] == AUDITED]
    assert audits
    audited = {row["item"] for row in audits}
    by = {row["item"]: row["tier"] for row in rows(engine, SubtaskRow, job=job)}
    assert {by[item] for item in audited} == {"frontier"}
    first = standings()[0]
    assert (first.job, first.served) == (job, len(served))
    assert api.status(job).state.value == "done"
    (line,) = [one for one in api.report(job).skills if one.by_student]
    assert line.by_student == len(served)
    paid_usd = sum(row["cost_usd"] for row in rows(engine, AttemptRow, job=job))
    assert line.student_saved_usd == pytest.approx(len(served) * paid_usd / (600 - len(served)))


def test_a_student_that_drifts_is_stopped_within_its_promise(engine, small_steps):
    others = dict(zip(TOPICS, [*list(TOPICS)[1:], "card"], strict=True))
    turned = 300

    def right(work):
        return work.input["is"] if work.item < turned else others[work.input["is"]]

    job = begun(engine, tickets(700))
    run(engine, job, right)
    served = rows(engine, SubtaskRow, job=job, tier="own", state="settled")
    truth = [item["is"] if n < turned else others[item["is"]] for n, item in enumerate(tickets(700))]
    wrong = sum(row["value"]["label"] != truth[row["item"]] for row in served)
    assert any(row["state"] == "off" for row in rows(engine, StudentRow, job=job))
    promise = promise_for(700, max_loss=LOSS, delta=DELTA)
    assert wrong <= promise.most_missed


def test_an_audit_that_is_judged_makes_room_for_the_next_one_at_once(engine, small_steps, monkeypatch):
    monkeypatch.setattr(student_step, "is_audited", lambda *_: True)
    job = begun(engine, tickets(600))
    worker = OneWorker(engine, lambda work: work.input["is"])
    key, teacher = engine.settings.keys.student(job, "s0"), School()

    def room():
        drawn, clean = (
            engine.redis.scard(name(key)) for name in (engine.settings.keys.audited, engine.settings.keys.clean)
        )
        return int(engine.redis.hget(key, "most_caught")) - drawn + clean

    async def play():
        while not engine.redis.exists(key):
            for batch in flying(engine, job):
                settle_trail(engine, await worker.answer(batch))
            teacher.teach(engine)
            for future in list(teacher._training.values()):
                future.exception(timeout=60)
            teacher.teach(engine)
            cut(engine, job)
        while room():
            batches = [one for one in flying(engine, job) if one.tier.name != "frontier"]
            assert batches, f"room for {room()} more, and nothing left to draw of"
            for batch in batches:
                settle_trail(engine, await worker.answer(batch))
            cut(engine, job)
        assert (await worker.students.of(job, "s0")).has_room is False
        # All that were drawn: some may be sent only when others are back.
        for _ in range(20):
            if room() == int(engine.redis.hget(key, "most_caught")):
                break
            told = [await worker.answer(one) for one in flying(engine, job) if one.tier.name == "frontier"]
            for trail in [*told, *told]:
                settle_trail(engine, trail)
            cut(engine, job)

    asyncio.run(play())
    assert room() == int(engine.redis.hget(key, "most_caught"))


def test_a_step_with_free_text_has_no_student_and_the_reason_is_on_record(engine, small_steps):
    job = begun(engine, tickets(250), skill=SKILL)
    _, _ = run(engine, job, lambda work: work.input["is"])
    assert not rows(engine, StudentRow, job=job)
    with engine.db.reading() as tx:
        said = [row["reason"] for row in decisions.of(tx, job=job, kind="student")]
    assert said == ["a student gives closed answers only; label may hold anything"]


def test_one_answer_for_all_is_nothing_to_learn_from_and_that_is_said(engine, small_steps):
    job = begun(engine, tickets(300))
    run(engine, job, lambda work: "card")
    with engine.db.reading() as tx:
        said = [row["reason"] for row in decisions.of(tx, job=job, kind="student")]
    assert "answers that differ" in said[0]
    assert not rows(engine, StudentRow, job=job)


def test_a_job_without_a_student_tier_has_none(engine, small_steps):
    job = begun(engine, tickets(300), profile=PROFILE)
    worker, _ = run(engine, job, lambda work: work.input["is"])
    assert set(worker.tiers) == {"cheap"}
    assert not rows(engine, StudentRow)
