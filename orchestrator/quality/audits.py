"""Audits: a share of accepted answers is also answered by the top tier, and compared."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, RowMapping

from firstline.orchestrator import api
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.core.each_job import for_each
from firstline.orchestrator.core.job import Job
from firstline.orchestrator.plans.single_tier import one_step
from firstline.orchestrator.quality.calibration.labels import Answer, Pair, Truth, is_loss
from firstline.orchestrator.quality.drift import Audit, Look, course, finding, flag, step_truth, subjects
from firstline.orchestrator.quality.judge.asking import JudgeBench, ask_judge
from firstline.orchestrator.quality.judge.questions import Question
from firstline.orchestrator.store import audits, jobs, subtasks, views
from firstline.orchestrator.submission.item_reader import InputItem
from firstline.schemas.base import Json, digest
from firstline.schemas.job import ItemState, JobRequest, JobState, Options, Priority
from firstline.schemas.plan import PlannedStep
from firstline.workers.rules.step_inputs import Unfit, inputs_of

_log = logging.getLogger(__name__)

PURPOSE = "audit"
#: Drawn answers of a job that still runs which are asked together; what is left is asked when it has ended.
LOT = 25

#: item -> step -> value.
_Settled = Mapping[int, Mapping[str, Json]]


# Asking -----------------------------------------------------------------------------------------------------------


def ask(job_id: str, *, budget_usd: float | None = None) -> list[str]:
    """Have the top tier asked what was drawn in a job; return the audit jobs that are under way.

    Of a job that still runs a lot is asked at a time, so that a long one is watched while it runs.

    Each is an ordinary job of low priority. Its budget is the one given, the setting FIRSTLINE_AUDIT_BUDGET_USD, or
    what is left of the audited job's own: where nothing is left, nothing is asked. Asking again while they run asks
    nothing twice.
    """
    steering = api.engine()
    with steering.db.reading() as tx:
        job = steering.job(tx, job_id)
        wanted = audits.of(tx, job=job_id, state="wanted")
        # What a running job's own budget has left is its items' until it has ended.
        own = budget_usd or steering.settings.audit_budget_usd or job.budget_usd is None
        drawn = wanted if job.state.ended or (own and len(wanted) >= LOT) else []
        wholes = {row["item"]: _values(tx, job, row["item"]) for row in drawn}
    by_step: dict[str, list[RowMapping]] = {}
    for row in drawn:
        by_step.setdefault(row["step"], []).append(row)
    for step, rows in by_step.items():
        _ask(job, step, rows, wholes, budget_usd)
    with steering.db.reading() as tx:
        return audits.asked(tx, job=job_id)


def _values(tx: Connection, job: Job, item: int) -> Mapping[str, Json]:
    return {step: row["value"] for step, row in subtasks.of_items(tx, job=job.id, numbers=[item]).get(item, {}).items()}


def _ask(
    job: Job,
    step: str,
    rows: Sequence[RowMapping],
    settled: _Settled,
    budget_usd: float | None,
) -> None:
    planned = job.plan.step(step)
    steering = api.engine()
    cap_usd = budget_usd if budget_usd is not None else steering.settings.audit_budget_usd
    if cap_usd is None and job.budget_usd is not None:
        with steering.db.reading() as tx:
            cap_usd = job.budget_usd - jobs.spent(tx, job=job.id) - audits.budgets_of(tx, job=job.id)
        if cap_usd <= 0:
            _log.info("audit.no_budget", extra={"job": job.id})
            return
    request = _request(job, planned, rows, cap_usd)
    folders = tuple(Path(folder) for folder in job.folders)
    asked = list(_items(job, planned, rows, settled))
    audit_job = api.submit(request, asked, folders=folders)
    with steering.db.writing() as tx:
        audits.ask(tx, job=job.id, step=step, items=[row["item"] for row in rows], audit_job=audit_job)


def _request(job: Job, planned: PlannedStep, rows: Sequence[RowMapping], cap_usd: float | None) -> JobRequest:
    skill = job.plan.skills[planned.step.skill or ""]
    workflow = one_step(planned.step.name, skill, job.plan.tools)
    options = Options(
        profile=job.profile.name,
        budget_usd=cap_usd,
        priority=Priority.LOW,
        tenant=job.tenant,
        dedupe=False,
        tiers=(job.profile.ladder[-1].name,),
        purpose=PURPOSE,
    )
    key = f"{PURPOSE}:{job.id}:{planned.step.name}:{digest([row['item'] for row in rows])}"
    name = f"audit of {job.name}: {planned.step.name}"
    return JobRequest(workflow=workflow, name=name, profile=job.profile, options=options, idempotency_key=key)


def _items(job: Job, planned: PlannedStep, rows: Sequence[RowMapping], settled: _Settled) -> Iterable[InputItem]:
    """Yield the skill's inputs as they were; an item's id is its number in the audited job."""
    skill = job.plan.skills[planned.step.skill or ""]
    for row in rows:
        found = inputs_of(planned.step, skill, row["input"], settled[row["item"]])
        if isinstance(found, Unfit):
            yield InputItem(str(row["item"]), {}, found.reason)
        else:
            yield InputItem(str(row["item"]), found)


# Comparing --------------------------------------------------------------------------------------------------------


def compare(audit_job: str) -> int:
    """Compare what an audit job has answered with what was accepted, and raise the flag on drift; return how many.

    Where a judge has to tell it is asked, in jobs under what the audit's budget has left.
    """
    steering = api.engine()
    with steering.db.writing() as tx:
        asked = jobs.light(tx, job=audit_job)
        ended = JobState(asked["state"]).ended
        rows = [
            row for state in ("asked", "judging") for row in audits.in_audit_job(tx, audit_job=audit_job, state=state)
        ]
        # All of them: those that still wait may be any, when others were compared before.
        results = {int(row["item_id"]): row for row in views.stream(tx, job=audit_job, after=-1, limit=asked["items"])}
        truths = {(row["job"], row["step"]): step_truth(steering.job(tx, row["job"]), row["step"]) for row in rows}
        bench = JudgeBench(tx, rows)
        done = 0
        for row in rows:
            found = _outcome(row, results.get(row["item"]), truths[row["job"], row["step"]], bench, ended=ended)
            if found is not None:
                audits.conclude(tx, job=row["job"], item=row["item"], step=row["step"], **found._asdict())
                done += 1
        for subject in subjects(tx, audit_job=audit_job) if done else ():
            flag(tx, subject)
    for (job, step), questions in bench.open.items() if ended else ():
        ask_judge(audit_job, job, step, questions)
    return done


def judge_jobs(audit_job: str) -> list[str]:
    """Return the jobs in which judges are asked about what an audit job has answered."""
    with api.engine().db.reading() as tx:
        return audits.judge_jobs(tx, audit_job=audit_job)


class _Outcome(NamedTuple):
    """What is to be written of an audit."""

    state: str
    agrees: bool | None
    cost_usd: float | None


def _outcome(
    row: RowMapping, result: RowMapping | None, truth: Truth, bench: JudgeBench, *, ended: bool
) -> _Outcome | None:
    """Return what an audit showed; None: its answer is still out, or the judge's word on it."""
    answered = result is not None and result["state"] == ItemState.SETTLED.value
    if result is None or not answered:
        over = ended or (result is not None and ItemState(result["state"]).ended)
        return _Outcome("void", None, result["cost_usd"] if result is not None else None) if over else None
    pair = Pair(row["item_id"], row["input"], Answer(row["value"]), Answer(result["output"]))
    cost_usd = result["cost_usd"]
    question = truth.open_question(row["value"], result["output"])
    if question is not None:
        word = bench.hear(row, Question(str(row["item"]), result["input"], question))
        if word is None:
            return None
        cost_usd = None if cost_usd is None or word.cost_usd is None else cost_usd + word.cost_usd
        if word.is_same is None:
            return _Outcome("void", None, cost_usd)
        truth.judged[question.key] = word.is_same
    lost = is_loss(pair, truth)
    return _Outcome("uncompared" if lost is None else "done", None if lost is None else not lost, cost_usd)


# What they say ----------------------------------------------------------------------------------------------------


def findings(*, tenant: str | None = None) -> list[Audit]:
    """Return what the audits of a tenant (None: of all) say, skill by skill; compares first what was answered since."""
    steering = api.engine()
    with steering.db.reading() as tx:
        asked = audits.asked(tx)
    for audit_job in asked:
        compare(audit_job)
    with steering.db.reading() as tx:
        return [finding(tx, subject) for subject in subjects(tx, tenant=tenant)]


def courses(*, tenant: str | None = None) -> list[tuple[Audit, tuple[Look, ...]]]:
    """Return the same with how the live loss stood as the audits came in."""
    with api.engine().db.reading() as tx:
        return [(finding(tx, subject), course(tx, subject)) for subject in subjects(tx, tenant=tenant)]


# By itself --------------------------------------------------------------------------------------------------------


def sweep(engine: Context) -> None:
    """Ask what is due and compare what was answered: what a standing orchestrator does between other things."""
    with engine.db.reading() as tx:
        due, asked = audits.due(tx, lot=LOT), audits.asked(tx)
    for_each(engine, due, ask, job_of=str)
    for_each(engine, asked, compare, job_of=str)
