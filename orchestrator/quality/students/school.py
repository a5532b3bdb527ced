"""Students in a running job: trained in the background on what the ladder answers, put in force, watched, stopped."""

import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import Connection, RowMapping

from firstline.orchestrator.core.context import Context
from firstline.orchestrator.core.each_job import for_each
from firstline.orchestrator.core.job import Job
from firstline.orchestrator.engine import student_audits
from firstline.orchestrator.engine.economics import ROUTE
from firstline.orchestrator.plans.low_rungs import without_student
from firstline.orchestrator.quality.students.course import Ledger, Standard, is_due, standard
from firstline.orchestrator.quality.students.promise import StudentPromise, promise_for
from firstline.orchestrator.quality.students.training import HeldOut, Lesson, train
from firstline.orchestrator.store import decisions, jobs, students
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.quality_tables import StudentRow
from firstline.schemas.base import Json
from firstline.schemas.errors import UserError
from firstline.schemas.job import WORKING
from firstline.schemas.plan import PlannedStep
from firstline.schemas.tier import Tier
from firstline.workers.durability.students import PUBLISHED_S, model_field, told
from firstline.workers.rules.closed_answers import canonical, item_text
from firstline.workers.rules.step_inputs import Unfit, inputs_of
from firstline.workers.rules.student_model import VERSION
from firstline.workers.rules.text_features import text_features

_log = logging.getLogger(__name__)

#: Chance that a job loses more than its policy bears.
DELTA = 0.1
#: Audits that are still out count as this many times the catches that are foreseen among them.
_CAUTION = 2.0
#: A look that took a second is followed by so many without one.
RESTS = 20.0
#: Only jobs in earnest have students: the others measure models.
_PURPOSE = "run"


@dataclass(frozen=True)
class Subject:
    """A step that a student may answer."""

    job: Job
    planned: PlannedStep
    tier: Tier

    @property
    def key(self) -> tuple[str, str]:
        """What tells it apart."""
        return self.job.id, self.planned.step.name


@dataclass
class School:
    """What one orchestrator trains; another that takes its place begins from what is in SQL."""

    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "student"))
    _training: dict[tuple[str, str], "Future[tuple[Lesson, int]]"] = field(default_factory=dict)
    _refused: set[tuple[str, str]] = field(default_factory=set)
    #: When each subject is looked at again: a look goes through all of its items.
    _next_look: dict[tuple[str, str], float] = field(default_factory=dict)

    def teach(self, context: Context) -> None:
        """Look after the students of every job that works."""
        with context.db.reading() as tx:
            found = [row["id"] for row in jobs.in_state(tx, states=WORKING)]
            subjects: list[Subject] = []
            for_each(context, found, lambda job: subjects.extend(subjects_of(context.job(tx, job))), job_of=str)
        due = {subject.key for subject in subjects}
        self._next_look = {key: at for key, at in self._next_look.items() if key in due}
        for_each(context, subjects, lambda subject: self._look(context, subject), job_of=lambda one: one.job.id)

    def _look(self, context: Context, subject: Subject) -> None:
        began = time.monotonic()
        if subject.key in self._refused or began < self._next_look.get(subject.key, began):
            return
        skill = subject.job.plan.skills[subject.planned.step.skill or ""]
        why = without_student(subject.planned, skill, student=subject.tier.name)
        if why is not None:
            self._refuse(context, subject, why)
            return
        self._graduate(context, subject)
        with context.db.reading() as tx:
            row = students.latest(tx, job=subject.job.id, step=subject.planned.step.name)
            begun, labels = _passed(tx, subject)
        trained_on = row["labels"] if row else None
        due = is_due(labels, trained_on=trained_on, items=subject.job.items, begun=begun)
        if due and subject.key not in self._training and (row is None or row["state"] == "on"):
            self._training[subject.key] = self._pool.submit(_lesson, context, subject, row)
        if row is not None:
            watch(context, subject, begun)
        # What must be heard of at once, the end of an audit, workers hear from who judges it.
        self._next_look[subject.key] = time.monotonic() + RESTS * (time.monotonic() - began)

    def _graduate(self, context: Context, subject: Subject) -> None:
        """Put a student that has been trained into SQL."""
        future = self._training.get(subject.key)
        if future is None or not future.done():
            return
        del self._training[subject.key]
        try:
            lesson, opening = future.result()
        except UserError as error:
            self._refuse(context, subject, str(error))
            return
        with context.db.writing() as tx:
            _store(
                tx, subject, lesson, opening, students.latest(tx, job=subject.job.id, step=subject.planned.step.name)
            )

    def _refuse(self, context: Context, subject: Subject, reason: str) -> None:
        """Say once at the job why a step has no student."""
        self._refused.add(subject.key)
        step = subject.planned.step.name
        with context.db.writing() as tx:
            if not decisions.count(tx, job=subject.job.id, kind="student", choice="no student", step=step):
                decisions.note(
                    tx, job=subject.job.id, kind="student", by="engine", step=step, choice="no student", reason=reason
                )


def subjects_of(job: Job) -> Iterator[Subject]:
    """Yield the steps of a job's segment that a skill answers, where the job has students."""
    tier = job.profile.student
    if tier is None or job.options.purpose != _PURPOSE or job.segment >= job.plan.segments or job.options.tiers:
        return
    for planned in job.plan.segment(job.segment):
        if planned.step.skill in job.plan.skills and not planned.step.is_barrier:
            yield Subject(job, planned, tier)


def _passed(tx: Connection, subject: Subject) -> tuple[int, int]:
    """Return how many items are through with the student, and how many labels the ladder has given."""
    job, step = subject.job, subject.planned.step.name
    return students.passed(tx, job=job.id, step=step, tiers=job.ladder, student=subject.tier.name)


def _lesson(context: Context, subject: Subject, row: RowMapping | None) -> tuple[Lesson, int]:
    """Train on all labels that there are; return the lesson and up to which item the opening goes."""
    job, planned = subject.job, subject.planned
    with context.db.reading() as tx:
        found = students.labels(tx, job=job.id, step=planned.step.name, tiers=job.ladder, student=subject.tier.name)
    known = [(n, _text(planned, item, job), canonical(value), seen) for n, item, value, seen in found]
    opening = row["opening"] if row else max(n for n, *_ in known)
    is_opening = np.array([n <= opening and not seen for n, _, _, seen in known])
    lesson = train(text_features([text for _, text, _, _ in known]), [value for _, _, value, _ in known], is_opening)
    return lesson, opening


def _text(planned: PlannedStep, item: Json, job: Job) -> str:
    """Return what a worker gives a student of an item."""
    skill = job.plan.skills[planned.step.skill or ""]
    inputs = inputs_of(planned.step, skill, item if isinstance(item, dict) else {}, {})
    return "" if isinstance(inputs, Unfit) else item_text(inputs)


def _store(tx: Connection, subject: Subject, lesson: Lesson, opening: int, row: RowMapping | None) -> None:
    skill = subject.job.plan.skills[subject.planned.step.skill or ""]
    if row is not None:
        students.change(tx, student=row["id"], state="over", reason="another that knows more took its place")
    kept = {name: row[name] for name in ("served", "audits", "caught", "foreseen", "begun")} if row else {}
    students.insert(
        tx,
        row=StudentRow(
            job=subject.job.id,
            step=subject.planned.step.name,
            tier=subject.tier.name,
            tenant=subject.job.tenant,
            skill=skill.name,
            skill_digest=skill.digest,
            version=VERSION,
            packed=lesson.model.pack(),
            labels=lesson.labels,
            answers=len(lesson.model.answers),
            opening=opening,
            margins=lesson.held_out.margins.tolist(),
            wrong=lesson.held_out.wrong.tolist(),
            state="on",
            max_loss=subject.planned.policy.max_loss,
            trained_at=now(),
            **kept,
        ),
    )


def watch(context: Context, subject: Subject, begun: int) -> None:
    """Set from where a student answers by what its audits came to, tell the workers, and route items accordingly."""
    job, step = subject.job, subject.planned.step.name
    promise = promise_for(job.items, max_loss=subject.planned.policy.max_loss, delta=DELTA)
    with context.db.reading() as tx:
        row = students.latest(tx, job=job.id, step=step)
        if row is None or row["state"] != "on":
            return
        audits = students.audits(tx, job=job.id, step=step, tier=subject.tier.name)
        served = students.served(tx, job=job.id, step=step, tier=subject.tier.name)
    held_out = HeldOut(np.array(row["margins"]), np.array(row["wrong"], dtype=bool))
    ledger = _ledger(row, held_out, audits, begun, job.items, promise)
    chosen = standard(held_out, ledger, promise) if promise else Standard(None)
    caught_out = promise is not None and ledger.caught >= promise.most_caught
    reason = _why_off(promise, ledger) if chosen.margin is None else None
    with context.db.writing() as tx:
        students.change(
            tx,
            student=row["id"],
            state="off" if caught_out else "on",
            reason=reason,
            margin=chosen.margin,
            served=served,
            audits=len(audits),
            caught=ledger.caught,
            foreseen=ledger.foreseen,
            begun=begun,
        )
    _publish(context, subject, row["id"], chosen, promise, audits)
    _route(context, subject, row, chosen, reason)


def _publish(
    context: Context,
    subject: Subject,
    student: int,
    chosen: Standard,
    promise: StudentPromise | None,
    audits: Sequence[students.StudentAudit],
) -> None:
    """Tell workers from where a student answers; its arrays, which are large, only if another's are there."""
    job, step, keys = subject.job.id, subject.planned.step.name, context.settings.keys
    key = keys.student(job, step)
    fields = told(
        student,
        margin=chosen.margin,
        audit_share=promise.audit_share if promise else 1.0,
        most_caught=promise.most_caught if promise else 0,
    )
    if context.redis.hget(key, "id") != str(student):
        with context.db.reading() as tx:
            fields |= model_field(students.packed(tx, student=student))
    pipe = context.redis.pipeline()
    pipe.hset(key, items=[part for pair in fields.items() for part in pair])
    pipe.expire(key, PUBLISHED_S)
    student_audits.tell(pipe, keys, job, step, audits)
    pipe.execute()


def _ledger(
    row: RowMapping,
    held_out: HeldOut,
    audits: Sequence[students.StudentAudit],
    begun: int,
    items: int,
    promise: StudentPromise | None,
) -> Ledger:
    """Return where the promise stands; what was foreseen grows by the items begun since the last look."""
    out = sum(one.is_out for one in audits)
    caught = sum(not one.is_out and not one.is_clean for one in audits)
    answered = np.searchsorted(-held_out.margins, -row["margin"], side="right") if row["margin"] is not None else 0
    wrong = held_out.wrong[:answered]
    loss, share = float(wrong.sum()) / max(1, len(held_out.wrong)), promise.audit_share if promise else 0.0
    foreseen = row["foreseen"] + loss * share * max(0, begun - row["begun"])
    pending = round(_CAUTION * out * float(wrong.mean())) if answered else 0
    return Ledger(items, begun, caught, pending, foreseen)


def _why_off(promise: StudentPromise | None, ledger: Ledger) -> str:
    if promise is None:
        return "the job is too small to bear one wrong answer"
    if ledger.caught >= promise.most_caught:
        return f"{ledger.caught} of its audits found it wrong, as many as its promise bears: it answers nothing more"
    return "on items that it was not trained on it is not right often enough for its promise, from any margin"


def _route(context: Context, subject: Subject, row: RowMapping, chosen: Standard, reason: str | None) -> None:
    """Let new items come to the student, or no longer; a decision on record each time."""
    job, planned = subject.job, subject.planned
    wanted = subject.tier.name if chosen.margin is not None else None
    with context.db.writing() as tx:
        jobs.hold(tx, job=job.id, alone=True)
        context.routes.forget(job.id)
        route = context.job(tx, job.id).plan.step(planned.step.name).route
        if route.student == wanted:
            return
        decisions.note(
            tx,
            job=job.id,
            kind=ROUTE,
            by="engine",
            step=planned.step.name,
            choice="the student answers first" if wanted else "the student answers no more",
            reason=reason or f"trained on {row['labels']} labels; it answers what it is sure of by {chosen.margin:.3g}",
            data={"route": route.evolve(student=wanted).model_dump(mode="json"), "findings": []},
        )
    context.routes.forget(job.id)


#: The one of this process.
SCHOOL = School()
