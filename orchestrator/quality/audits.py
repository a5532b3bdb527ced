"""Audits: a share of accepted answers is also answered by the top tier, after the job, and the live loss follows."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, RowMapping

from firstline.orchestrator import api
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.core.each_job import for_each
from firstline.orchestrator.core.job import Job
from firstline.orchestrator.plans.single_tier import one_step
from firstline.orchestrator.quality.calibration.audit import LiveLoss, live_loss
from firstline.orchestrator.quality.calibration.labels import Answer, Pair, Truth, is_loss, truth_of
from firstline.orchestrator.quality.judge.asking import JudgeBench, ask_judge, error_of
from firstline.orchestrator.quality.judge.error import JudgeError
from firstline.orchestrator.quality.judge.questions import Question
from firstline.orchestrator.store import audits, calibrations, decisions, items, jobs, subtasks
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.quality_tables import CalibrationRow
from firstline.orchestrator.submission.item_reader import InputItem
from firstline.schemas.base import Frozen, Json, digest
from firstline.schemas.job import ItemState, JobRequest, JobState, Options, Priority
from firstline.schemas.plan import PlannedStep
from firstline.schemas.policy import Policy
from firstline.schemas.skill import Skill
from firstline.workers.rules.step_inputs import Unfit, inputs_of

_log = logging.getLogger(__name__)

PURPOSE = "audit"
#: Drawn answers of a job that still runs which are asked together; what is left is asked when it has ended.
LOT = 25

_IN_WORDS = {
    "unaudited": "nothing audited yet",
    "uncompared": "not compared",
    "unmeasured": "the judge's error is not measured",
}
#: item -> step -> value.
_Settled = Mapping[int, Mapping[str, Json]]


class Audit(Frozen):
    """What audits say of a skill's answers by one model, since they were last calibrated."""

    #: Whose jobs were audited.
    tenant: str
    skill: str
    skill_version: int
    skill_digest: str
    model: str
    frontier_model: str
    #: Loss that is borne: the calibration's, else the policy's.
    max_loss: float
    loss: LiveLoss
    #: Drawn and not compared yet; answered by both, and nobody compares such answers.
    pending: int
    uncompared: int = 0
    #: Fields of the answers that nobody compares: nothing is said of them.
    silent: tuple[str, ...] = ()
    #: The model that judges prose, and how often it is wrong; None: no judge is asked.
    judge: str | None = None
    cost_usd: float | None
    #: unaudited, uncompared, unmeasured (how often the judge is wrong is not known), watched, sound (within `max_loss`
    #: beyond doubt), drifted (above it)
    state: str
    #: What a raised flag does: flag, escalate.
    on_drift: str
    #: The calibration that is watched; None: answers are accepted without one.
    calibration: int | None
    #: Where its calibration stands; None where there is none.
    calibration_state: str | None

    @property
    def state_in_words(self) -> str:
        """The state for people."""
        return _IN_WORDS.get(self.state, self.state)

    @property
    def claims(self) -> bool:
        """Whether the live loss and its interval say anything."""
        return self.state not in _IN_WORDS

    @property
    def notes(self) -> tuple[str, ...]:
        """What the figures rest on, and what they do not speak of."""
        judged = (f"prose is judged by {self.judge}",) if self.judge else ()
        silent = f"nobody compares {', '.join(self.silent)}: nothing is said of it; declare `compare:` in the skill"
        return (*judged, silent) if self.silent else judged


@dataclass(frozen=True)
class _Subject:
    """A version of a skill as answered by one model, and the newest job with an audit of that."""

    job: Job
    skill: Skill
    policy: Policy
    model: str
    step: str

    @property
    def tenant(self) -> str:
        return self.job.tenant

    @property
    def frontier_model(self) -> str:
        return self.job.profile.ladder[-1].models[0].name


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
        results = {int(row["item_id"]): row for row in items.stream(tx, job=audit_job, after=-1, limit=asked["items"])}
        truths = {(row["job"], row["step"]): _truth(steering.job(tx, row["job"]), row["step"]) for row in rows}
        bench = JudgeBench(tx, rows)
        done = 0
        for row in rows:
            found = _outcome(row, results.get(row["item"]), truths[row["job"], row["step"]], bench, ended=ended)
            if found is not None:
                audits.conclude(tx, job=row["job"], item=row["item"], step=row["step"], **found._asdict())
                done += 1
        for subject in _subjects(tx, audit_job=audit_job) if done else ():
            _flag(tx, subject)
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


def _truth(job: Job, step: str) -> Truth:
    folders = tuple(Path(folder) for folder in job.folders)
    skill = job.plan.skills[job.plan.step(step).step.skill or ""]
    return truth_of(job.plan.quality, step, output=job.plan.output, folders=folders, skill=skill)


# What they say ----------------------------------------------------------------------------------------------------


def findings(*, tenant: str | None = None) -> list[Audit]:
    """Return what the audits of a tenant (None: of all) say, skill by skill; compares first what was answered since."""
    steering = api.engine()
    with steering.db.reading() as tx:
        asked = audits.asked(tx)
    for audit_job in asked:
        compare(audit_job)
    with steering.db.reading() as tx:
        return [finding(tx, subject) for subject in _subjects(tx, tenant=tenant)]


def _subjects(tx: Connection, *, audit_job: str | None = None, tenant: str | None = None) -> list[_Subject]:
    found = []
    for row in audits.subjects(tx, audit_job=audit_job, tenant=tenant):
        newest = audits.newest_job(tx, tenant=row["tenant"], skill_digest=row["skill_digest"], model=row["model"])
        job = api.engine().job(tx, newest)
        skill = job.plan.skills[row["skill"]]
        planned = next(one for one in job.plan.steps if one.step.skill == skill.name)
        found.append(_Subject(job, skill, planned.policy, row["model"], planned.step.name))
    return found


def finding(tx: Connection, subject: _Subject) -> Audit:
    """Return what the audits of a skill's answers by one model say."""
    skill, policy = subject.skill, subject.policy
    known = _calibration(tx, subject)
    since: datetime | None = known["created_at"] if known is not None and known["threshold"] is not None else None
    tally = audits.tally(tx, tenant=subject.tenant, skill_digest=skill.digest, model=subject.model, since=since)
    accepted = audits.accepted_by(tx, tenant=subject.tenant, skill_digest=skill.digest, since=since)
    # A step that says what it bears is held to that; else the calibration says what it was made for.
    says = known is None or "max_loss" in policy.model_fields_set
    max_loss = policy.max_loss if says or known is None else known["max_loss"]
    truth = _truth(subject.job, subject.step)
    judge = error_of(tx, subject.job.profile, skill, tenant=subject.tenant) if truth.has_judge else None
    loss = live_loss(
        audits.outcomes(tx, tenant=subject.tenant, skill_digest=skill.digest, model=subject.model, since=since),
        accepted=accepted.get(subject.model, 0),
        answered=sum(accepted.values()),
        max_loss=max_loss,
        judge=judge.error if judge else None,
        judge_alone=truth.judge_alone,
    )
    return Audit(
        tenant=subject.tenant,
        skill=skill.name,
        skill_version=skill.version,
        skill_digest=skill.digest,
        model=subject.model,
        frontier_model=subject.frontier_model,
        max_loss=max_loss,
        loss=loss,
        pending=tally["pending"],
        uncompared=tally["uncompared"],
        silent=tuple(truth.uncompared),
        judge=str(judge) if judge else None,
        cost_usd=tally["cost_usd"],
        state=state_of(loss, max_loss, judge=judge.error if judge else None, uncompared=tally["uncompared"]),
        on_drift=policy.on_drift,
        calibration=known["id"] if known is not None else None,
        calibration_state=known["state"] if known is not None else None,
    )


def state_of(loss: LiveLoss, max_loss: float, *, judge: JudgeError | None = None, uncompared: int = 0) -> str:
    """Return what the interval of the live loss allows to say."""
    if not loss.audited:
        return "uncompared" if uncompared else "unaudited"
    if judge is not None and not judge.is_measured:
        return "unmeasured"
    if loss.drifted(max_loss):
        return "drifted"
    return "sound" if loss.sound(max_loss) else "watched"


def _calibration(tx: Connection, subject: _Subject) -> RowMapping | None:
    """Return the newest calibration that still has a say about these answers."""
    rows = calibrations.standing(
        tx, tenant=subject.tenant, skill_digest=subject.skill.digest, frontier_model=subject.frontier_model
    )
    return next((row for row in rows if row["cheap_model"] == subject.model), None)


def _flag(tx: Connection, subject: _Subject) -> None:
    """Mark the calibration as drifted, once, where the live loss is above what is borne; write the decision down."""
    found = finding(tx, subject)
    if found.state != "drifted" or found.calibration_state == "drifted":
        return
    reason = f"audits: {found.loss.losses} of {found.loss.audited} accepted answers were lost; {_evidence(found)}"
    if found.calibration is not None:
        calibrations.end(tx, calibration=found.calibration, state="drifted", reason=reason)
    else:
        calibrations.insert(tx, row=_drifted_row(subject, found, reason))
    decisions.note(
        tx,
        job=subject.job.id,
        kind="drift",
        by="engine",
        choice=found.on_drift,
        reason=reason,
        data=found.model_dump(mode="json"),
    )
    _log.warning("audit.drifted", extra={"skill": found.skill, "model": found.model, "losses": found.loss.losses})


def _evidence(found: Audit) -> str:
    """Return which of the two alarms was raised."""
    if found.loss.low > found.max_loss:
        return f"the live loss is at least {found.loss.low:.1%}, above {found.max_loss:.1%}"
    return f"of late so many that it must have risen to about twice the {found.max_loss:.1%} that are borne"


def _drifted_row(subject: _Subject, found: Audit, reason: str) -> CalibrationRow:
    """Return what stands for drift where nothing was calibrated, so that the policy can act on it."""
    return CalibrationRow(
        tenant=subject.tenant,
        skill=found.skill,
        skill_version=found.skill_version,
        skill_digest=found.skill_digest,
        cheap_model=found.model,
        frontier_model=found.frontier_model,
        signal=calibrations.ANY_SIGNAL,
        method=PURPOSE,
        threshold=None,
        labels_used=found.loss.audited,
        max_loss=found.max_loss,
        delta=found.loss.delta,
        gold=subject.job.plan.quality is not None,
        state="drifted",
        reason=reason,
        job=subject.job.id,
        created_at=now(),
    )


# By itself --------------------------------------------------------------------------------------------------------


def sweep(engine: Context) -> None:
    """Ask what is due and compare what was answered: what a standing orchestrator does between other things."""
    with engine.db.reading() as tx:
        due, asked = audits.due(tx, lot=LOT), audits.asked(tx)
    for_each(engine, due, ask, job_of=str)
    for_each(engine, asked, compare, job_of=str)
