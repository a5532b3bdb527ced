"""Human review: what a policy sends to a person waits here; an answer settles it and joins the skill's gold set."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, RowMapping

from firstline.orchestrator.core.context import Context
from firstline.orchestrator.core.job import Job
from firstline.orchestrator.core.ladder import Sub
from firstline.orchestrator.core.sharding import shard_of
from firstline.orchestrator.engine import publish
from firstline.orchestrator.engine.apply import Place, apply, subtask_row
from firstline.orchestrator.engine.messages import sub_of, subs_of, values_of
from firstline.orchestrator.engine.release import release
from firstline.orchestrator.store import decisions, items, jobs, reviews, subtasks
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.quality_tables import GoldRow
from firstline.schemas.base import Frozen, Json, JsonObject
from firstline.schemas.batch import WHOLE_JOB
from firstline.schemas.errors import UserError
from firstline.schemas.job import JobState
from firstline.schemas.plan import PlannedStep
from firstline.schemas.skill import Skill
from firstline.schemas.states import SubtaskState
from firstline.workers.checks import run_checks
from firstline.workers.rules.json_bounds import refusal
from firstline.workers.rules.step_inputs import Unfit, inputs_of

#: Stands for the tier of what a person answered.
PERSON = "person"


class Waiting(Frozen):
    """A subtask that waits for a person."""

    job: str
    job_name: str
    item_id: str
    step: str
    reason: str | None


class RefusedAnswer(Frozen):
    """An answer that models gave and that was not accepted."""

    tier: str
    model: str
    value: Json
    text: str | None
    reasons: tuple[str, ...]


class Question(Frozen):
    """Everything that a person needs to answer."""

    job: str
    item_id: str
    step: str
    reason: str | None
    skill: str | None
    instructions: str | None
    inputs: JsonObject
    #: JSON Schema of the answer.
    output: JsonObject
    refused: tuple[RefusedAnswer, ...]

    @property
    def is_text(self) -> bool:
        """Whether the answer is plain text, not JSON."""
        return self.output.get("type") == "string" and not self.output.get("enum")


class ReviewOutcome(Frozen):
    """What came of a person's word."""

    job: str
    item_id: str
    step: str
    #: The item's state now.
    state: str
    #: Another step is to be asked next; it goes on by itself while workers run.
    goes_on: bool


@dataclass(frozen=True)
class _Case:
    """A waiting subtask with its surroundings, read within a transaction."""

    job: Job
    n: int
    item_id: str
    segment: int
    input: JsonObject
    planned: PlannedStep
    sub: Sub
    values: Mapping[str, Json]

    @property
    def skill(self) -> Skill | None:
        """The step's skill; None for a step of another kind."""
        name = self.planned.step.skill
        return self.job.plan.skills[name] if name else None

    @property
    def inputs(self) -> JsonObject:
        """The skill's inputs; the item as it is where they cannot be made out."""
        found = inputs_of(self.planned.step, self.skill, self.input, self.values) if self.skill else self.input
        return self.input if isinstance(found, Unfit) else found


def waiting(
    engine: Context, *, job: str | None = None, tenant: str | None = None, limit: int | None = None
) -> list[Waiting]:
    """Return what waits for a person, oldest first; of one job, of one tenant, or of all."""
    with engine.db.reading() as tx:
        if job is not None:
            jobs.light(tx, job=job)
        rows = reviews.waiting(tx, job=job, tenant=tenant, limit=limit)
    return [_waiting(row) for row in rows]


def _waiting(row: RowMapping) -> Waiting:
    return Waiting(job=row["job"], job_name=row["name"], item_id=row["item_id"], step=row["step"], reason=row["reason"])


def question(engine: Context, *, job: str, item_id: str, step: str | None = None) -> Question:
    """Return what a person needs to answer one subtask."""
    with engine.db.reading() as tx:
        case = _case(tx, engine, job, item_id, step)
        attempts = [row for row in items.attempts(tx, job=job, item=case.n) if row["step"] == case.sub.step]
    return Question(
        job=job,
        item_id=case.item_id,
        step=case.sub.step,
        reason=case.sub.reason,
        skill=case.skill.name if case.skill else None,
        instructions=case.skill.instructions if case.skill else None,
        inputs=case.inputs,
        output=case.skill.output if case.skill else {},
        refused=tuple(_refused(row) for row in attempts if row["purpose"] == "answer" and row["verdict"] != "repeated"),
    )


def _refused(row: RowMapping) -> RefusedAnswer:
    reasons = tuple(f"{check['check']}: {check['reason']}" for check in row["checks"] if check["reason"])
    return RefusedAnswer(
        tier=row["tier"],
        model=row["model"],
        value=row["value"],
        text=row["text"] if row["value"] is None else None,
        reasons=reasons or tuple(filter(None, (row["detail"] or row["reason"],))),
    )


def answer(
    engine: Context, *, job: str, item_id: str, value: Json, step: str | None = None, note: str = ""
) -> ReviewOutcome:
    """Settle a subtask with a person's answer, keep that as gold, and let the item go on.

    UserError when nothing waits there or the answer fails the skill's schema or checks; nothing is changed then.
    """
    _refuse_unkept("answer", [value, note])
    with engine.db.writing() as tx:
        case = _case(tx, engine, job, item_id, step)
        if case.skill is not None:
            _refuse_bad(case, case.skill, value)
            reviews.keep_gold(tx, row=_gold(case, case.skill, value, note))
        sub = case.sub._replace(state=SubtaskState.SETTLED, tier=PERSON, value=value, reason=None, batch=None)
        answered, made = _settle(tx, case, sub, choice="answer", reason=note, data={"value": value})
    _send_on(engine, job, made)
    return answered


def reject(engine: Context, *, job: str, item_id: str, reason: str, step: str | None = None) -> ReviewOutcome:
    """Give a subtask up with a person's reason: its item fails. UserError when nothing waits there."""
    _refuse_unkept("reason", reason)
    with engine.db.writing() as tx:
        case = _case(tx, engine, job, item_id, step)
        sub = case.sub._replace(state=SubtaskState.FAILED, reason=f"a person rejected it: {reason}", batch=None)
        answered, made = _settle(tx, case, sub, choice="reject", reason=reason, data={})
    _send_on(engine, job, made)
    return answered


def _send_on(engine: Context, job_id: str, made: Sequence[str]) -> None:
    """Send what a person's word made ready, and move the job's window on.

    Where no Redis is known nothing is lost: the batches are rows that the sweep of the next orchestrator publishes.
    """
    if engine.settings.redis_url is None:
        return
    with engine.db.writing() as tx:
        job = engine.job(tx, job_id)
        if job.state is not JobState.RUNNING:
            return
        ready = publish.assembled(tx, job=job, ids=made)
    publish.send_free(engine, job=job, made=ready)
    release(engine, job_id)


def _case(tx: Connection, engine: Context, job_id: str, item_id: str, step: str | None) -> _Case:
    job = engine.job(tx, job_id)
    n = reviews.number_of(tx, job=job_id, item_id=item_id)
    rows = subtasks.of_items(tx, job=job_id, numbers=[n]).get(n, {}) if n is not None else {}
    open_steps = [name for name, row in rows.items() if row["state"] == reviews.REVIEW and step in (None, name)]
    if n is None or not open_steps:
        where = f"item '{item_id}' of job {job_id}" + (f", step '{step}'" if step else "")
        raise UserError(f"nothing waits for a person at {where}; `firstline review list` shows what does")
    if len(open_steps) > 1:
        raise UserError(f"item '{item_id}' waits at several steps ({', '.join(open_steps)}); name one with --step")
    item = items.load(tx, job=job_id, numbers=[n], lock=True)[n]
    subs = subs_of(tx, job=job, numbers=[n])
    values = {**values_of(subs.get(WHOLE_JOB, {})), **values_of(subs.get(n, {}))}
    return _Case(
        job=job,
        n=n,
        item_id=item_id,
        segment=item["segment"],
        input=item["input"],
        planned=job.plan.step(open_steps[0]),
        sub=sub_of(rows[open_steps[0]]),
        values=values,
    )


def _refuse_unkept(what: str, said: Json) -> None:
    if (why := refusal(said)[0]) is not None:
        raise UserError(f"the {what} {why}")


def _refuse_bad(case: _Case, skill: Skill, value: Json) -> None:
    folders = tuple(Path(folder) for folder in case.job.folders)
    text = value if isinstance(value, str) else json.dumps(value)
    checks = run_checks(skill, value, text=text, item={**case.input, **case.inputs}, tier=PERSON, folders=folders)
    failed = [f"{check.check}: {check.reason}" for check in checks if not check.passed]
    if failed:
        lines = "\n".join(f"- {one}" for one in failed)
        raise UserError(f"the answer does not fit the skill '{skill.name}'; mend it and answer again:\n{lines}")


def _gold(case: _Case, skill: Skill, value: Json, note: str) -> GoldRow:
    return GoldRow(
        job=case.job.id,
        tenant=case.job.tenant,
        item=case.n,
        step=case.sub.step,
        item_id=case.item_id,
        skill=skill.name,
        skill_version=skill.version,
        input=case.inputs,
        value=value,
        note=note,
        at=now(),
    )


def _settle(
    tx: Connection, case: _Case, sub: Sub, *, choice: str, reason: str, data: JsonObject
) -> tuple[ReviewOutcome, list[str]]:
    """Write the subtask as it stands now and let the engine apply it; return that and the new batches."""
    job = case.job
    subtasks.save(tx, rows=[subtask_row(job.id, case.n, sub)])
    decisions.note(
        tx, job=job.id, item=case.n, step=sub.step, kind="review", by=PERSON, choice=choice, reason=reason, data=data
    )
    shard = shard_of(case.n, job.shard_items)
    made = apply(tx, Place(job, case.segment, shard), [case.n]).batches
    state = items.load(tx, job=job.id, numbers=[case.n])[case.n]["state"]
    return ReviewOutcome(job=job.id, item_id=case.item_id, step=sub.step, state=state, goes_on=bool(made)), made


class Gold(Frozen):
    """A right answer of the gold set, as a line that can be an item of a job again."""

    id: str
    skill: str
    input: JsonObject
    gold: Json
    note: str = ""


def gold_set(engine: Context, *, skill: str | None = None, tenant: str | None = None) -> Iterator[Gold]:
    """Yield the right answers that persons gave for a tenant, or for all, oldest first."""
    with engine.db.reading() as tx:
        rows = list(reviews.gold(tx, skill=skill, tenant=tenant))
    for row in rows:
        name = f"{row['job']}/{row['item_id']}"
        yield Gold(id=name, skill=row["skill"], input=row["input"], gold=row["value"], note=row["note"])
