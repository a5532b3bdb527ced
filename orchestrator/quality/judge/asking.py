"""Judges asked about audits, in jobs under what the audit's budget has left; and how often they are wrong."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, RowMapping

from firstline.orchestrator import api
from firstline.orchestrator.quality.judge.error import UNMEASURED, JudgeError
from firstline.orchestrator.quality.judge.questions import (
    JUDGE,
    Question,
    items,
    judge_model,
    judge_profile,
    verdict,
    workflow,
)
from firstline.orchestrator.store import audits, jobs, judge_errors, views
from firstline.schemas.base import Json, digest
from firstline.schemas.errors import UserError
from firstline.schemas.job import ItemState, JobRequest, JobState, Options, Priority
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Profile
from firstline.workers.rules.json_paths import MISSING, Absent

_log = logging.getLogger(__name__)


class KnownJudge(NamedTuple):
    """A judge, and how often it is known to be wrong."""

    model: str
    error: JudgeError

    def __str__(self) -> str:
        return f"{self.model}: {self.error}"


class Word(NamedTuple):
    """What a judge said of one audit; `is_same` None: it was not asked to the end."""

    is_same: bool | None
    cost_usd: float | None


class JudgeBench:
    """What judges have said of the audits of one audit job, and what they are still to be asked."""

    def __init__(self, tx: Connection, rows: Sequence[RowMapping]) -> None:
        self._ended: dict[str, bool] = {}
        self._said: dict[str, dict[str, Json | Absent]] = {}
        self._usd: dict[str, dict[str, float | None]] = {}
        #: (job, step) -> what is to be asked.
        self.open: dict[tuple[str, str], list[Question]] = defaultdict(list)
        for job in {row["judge_job"] for row in rows if row["state"] == "judging"}:
            self._read(tx, job)

    def _read(self, tx: Connection, job: str) -> None:
        known = jobs.light(tx, job=job)
        self._ended[job] = JobState(known["state"]).ended
        self._said[job], self._usd[job] = {}, {}
        for row in views.stream(tx, job=job, after=-1, limit=known["items"]):
            if row["state"] in (ItemState.SETTLED.value, ItemState.FAILED.value):
                self._said[job][row["item_id"]] = row["output"] if row["state"] == ItemState.SETTLED.value else MISSING
                self._usd[job][row["item_id"]] = row["cost_usd"]

    def hear(self, row: RowMapping, question: Question) -> Word | None:
        """Return the judge's word on an audit; None while it is not there, and then it is to be asked if it was not."""
        if row["state"] != "judging":
            self.open[row["job"], row["step"]].append(question)
            return None
        job = row["judge_job"]
        same = verdict(question.key, self._said[job])
        if same is None and not self._ended[job]:
            return None
        costs = [usd for key, usd in self._usd[job].items() if key.startswith(f"{question.key}/")]
        known = [usd for usd in costs if usd is not None]
        return Word(same, sum(known) if len(known) == len(costs) else None)


def ask_judge(audit_job: str, job_id: str, step: str, questions: Sequence[Question]) -> None:
    """Have a judge asked what only it can tell of an audit job that has ended; without money they are void."""
    steering = api.engine()
    with steering.db.reading() as tx:
        job = steering.job(tx, job_id)
        audit = jobs.get(tx, job=audit_job)
        left_usd = None if audit["budget_usd"] is None else audit["budget_usd"] - jobs.spent(tx, job=audit_job)
    skill = job.plan.skills[job.plan.step(step).step.skill or ""]
    numbers = [int(question.key) for question in questions]
    try:
        profile = judge_profile(job.profile, judge_model(job.profile, skill.judge).name)
    except UserError as error:
        _log.warning("audit.no_judge", extra={"job": job.id, "reason": str(error)})
        left_usd = 0.0
    if left_usd is not None and left_usd <= 0:
        _log.info("audit.no_budget", extra={"job": job.id})
        with steering.db.writing() as tx:
            for number in numbers:
                audits.conclude(tx, job=job.id, item=number, step=step, state="void", agrees=None, cost_usd=None)
        return
    key = f"{JUDGE}:{audit_job}:{step}:{digest(numbers)}"
    request = judge_request(
        profile, tenant=job.tenant, budget_usd=left_usd, key=key, name=f"judge of {job.name}: {step}"
    )
    judge_job = api.submit(request, items(skill, questions))
    with steering.db.writing() as tx:
        audits.ask_judge(tx, job=job.id, step=step, items=numbers, judge_job=judge_job)


def judge_request(profile: Profile, *, tenant: str, budget_usd: float | None, key: str, name: str) -> JobRequest:
    """Return the request for a judge's work, of low priority."""
    options = Options(
        profile=profile.name,
        budget_usd=budget_usd,
        priority=Priority.LOW,
        tenant=tenant,
        dedupe=False,
        purpose=JUDGE,
    )
    return JobRequest(workflow=workflow(), name=name, profile=profile, options=options, idempotency_key=key)


def error_of(tx: Connection, profile: Profile, skill: Skill, *, tenant: str) -> KnownJudge:
    """Return who judges a skill's answers, and how often it is wrong as measured last."""
    try:
        model = judge_model(profile, skill.judge).name
    except UserError:
        return KnownJudge(str(skill.judge.model), UNMEASURED)
    row = judge_errors.newest(tx, tenant=tenant, skill_digest=skill.digest, model=model)
    return KnownJudge(model, UNMEASURED if row is None else JudgeError.model_validate(dict(row)))
