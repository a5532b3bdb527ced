"""What audits say of a skill's answers: the live loss, and the flag that is raised on drift."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, RowMapping

from firstline.orchestrator import api
from firstline.orchestrator.core.job import Job
from firstline.orchestrator.quality.calibration.audit import LiveLoss, live_loss
from firstline.orchestrator.quality.calibration.labels import Truth, truth_of
from firstline.orchestrator.quality.judge.asking import KnownJudge, error_of
from firstline.orchestrator.quality.judge.error import JudgeError
from firstline.orchestrator.store import audits, calibrations, decisions
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.quality_tables import CalibrationRow
from firstline.schemas.base import Frozen
from firstline.schemas.policy import Policy
from firstline.schemas.skill import Skill

_log = logging.getLogger(__name__)

_IN_WORDS = {
    "unaudited": "nothing audited yet",
    "uncompared": "not compared",
    "unmeasured": "the judge's error is not measured",
}


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


class Look(Frozen):
    """The live loss as it stood after so many audits."""

    audited: int
    estimate: float | None
    low: float
    high: float


@dataclass(frozen=True)
class AuditSubject:
    """A version of a skill as answered by one model, and the newest job with an audit of that."""

    job: Job
    skill: Skill
    policy: Policy
    model: str
    step: str

    @property
    def tenant(self) -> str:
        """Whose jobs these are."""
        return self.job.tenant

    @property
    def frontier_model(self) -> str:
        """The model that audits ask."""
        return self.job.profile.ladder[-1].models[0].name


def subjects(tx: Connection, *, audit_job: str | None = None, tenant: str | None = None) -> list[AuditSubject]:
    """Return what was audited, of an audit job or a tenant, or all of it."""
    found = []
    for row in audits.subjects(tx, audit_job=audit_job, tenant=tenant):
        newest = audits.newest_job(tx, tenant=row["tenant"], skill_digest=row["skill_digest"], model=row["model"])
        job = api.engine().job(tx, newest)
        skill = job.plan.skills[row["skill"]]
        planned = next(one for one in job.plan.steps if one.step.skill == skill.name)
        found.append(AuditSubject(job, skill, planned.policy, row["model"], planned.step.name))
    return found


def step_truth(job: Job, step: str) -> Truth:
    """Return how a step's answers are compared: as its skill and its workflow say."""
    folders = tuple(Path(folder) for folder in job.folders)
    skill = job.plan.skills[job.plan.step(step).step.skill or ""]
    return truth_of(job.plan.quality, step, output=job.plan.output, folders=folders, skill=skill)


@dataclass(frozen=True)
class _Measured:
    """What is known of a subject's audited answers."""

    known: RowMapping | None
    since: datetime | None
    max_loss: float
    truth: Truth
    judge: KnownJudge | None
    outcomes: Sequence[bool]
    #: The live loss after the outcomes that it is given.
    loss: Callable[[Sequence[bool]], LiveLoss]


def _measured(tx: Connection, subject: AuditSubject) -> _Measured:
    skill, policy = subject.skill, subject.policy
    known = _calibration(tx, subject)
    since: datetime | None = known["created_at"] if known is not None and known["threshold"] is not None else None
    accepted = audits.accepted_by(tx, tenant=subject.tenant, skill_digest=skill.digest, since=since)
    # A step that says what it bears is held to that; else the calibration says what it was made for.
    says = known is None or "max_loss" in policy.model_fields_set
    max_loss = policy.max_loss if says or known is None else known["max_loss"]
    truth = step_truth(subject.job, subject.step)
    judge = error_of(tx, subject.job.profile, skill, tenant=subject.tenant) if truth.has_judge else None
    return _Measured(
        known=known,
        since=since,
        max_loss=max_loss,
        truth=truth,
        judge=judge,
        outcomes=audits.outcomes(
            tx, tenant=subject.tenant, skill_digest=skill.digest, model=subject.model, since=since
        ),
        loss=partial(
            live_loss,
            accepted=accepted.get(subject.model, 0),
            answered=sum(accepted.values()),
            max_loss=max_loss,
            judge=judge.error if judge else None,
            judge_alone=truth.judge_alone,
        ),
    )


def finding(tx: Connection, subject: AuditSubject) -> Audit:
    """Return what the audits of a skill's answers by one model say."""
    skill, found = subject.skill, _measured(tx, subject)
    tally = audits.tally(tx, tenant=subject.tenant, skill_digest=skill.digest, model=subject.model, since=found.since)
    loss, judge = found.loss(found.outcomes), found.judge.error if found.judge else None
    return Audit(
        tenant=subject.tenant,
        skill=skill.name,
        skill_version=skill.version,
        skill_digest=skill.digest,
        model=subject.model,
        frontier_model=subject.frontier_model,
        max_loss=found.max_loss,
        loss=loss,
        pending=tally["pending"],
        uncompared=tally["uncompared"],
        silent=tuple(found.truth.uncompared),
        judge=str(found.judge) if found.judge else None,
        cost_usd=tally["cost_usd"],
        state=state_of(loss, found.max_loss, judge=judge, uncompared=tally["uncompared"]),
        on_drift=subject.policy.on_drift,
        calibration=found.known["id"] if found.known is not None else None,
        calibration_state=found.known["state"] if found.known is not None else None,
    )


def course(tx: Connection, subject: AuditSubject, *, looks: int = 40) -> tuple[Look, ...]:
    """Return how the live loss stood as audits came in, at so many of them at most, the last among them."""
    found = _measured(tx, subject)
    count = len(found.outcomes)
    stops = sorted({max(1, round(count * n / looks)) for n in range(1, looks + 1)} if count else ())
    losses = [found.loss(found.outcomes[:stop]) for stop in stops]
    return tuple(Look(audited=one.audited, estimate=one.estimate, low=one.low, high=one.high) for one in losses)


def state_of(loss: LiveLoss, max_loss: float, *, judge: JudgeError | None = None, uncompared: int = 0) -> str:
    """Return what the interval of the live loss allows to say."""
    if not loss.audited:
        return "uncompared" if uncompared else "unaudited"
    if judge is not None and not judge.is_measured:
        return "unmeasured"
    if loss.drifted(max_loss):
        return "drifted"
    return "sound" if loss.sound(max_loss) else "watched"


def _calibration(tx: Connection, subject: AuditSubject) -> RowMapping | None:
    """Return the newest calibration that still has a say about these answers."""
    rows = calibrations.standing(
        tx, tenant=subject.tenant, skill_digest=subject.skill.digest, frontier_model=subject.frontier_model
    )
    return next((row for row in rows if row["cheap_model"] == subject.model), None)


def flag(tx: Connection, subject: AuditSubject) -> None:
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


def _drifted_row(subject: AuditSubject, found: Audit, reason: str) -> CalibrationRow:
    """Return what stands for drift where nothing was calibrated, so that the policy can act on it."""
    return CalibrationRow(
        tenant=subject.tenant,
        skill=found.skill,
        skill_version=found.skill_version,
        skill_digest=found.skill_digest,
        cheap_model=found.model,
        frontier_model=found.frontier_model,
        signal=calibrations.ANY_SIGNAL,
        method="audit",
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
