"""Looks of a checkpoint while its step goes on: what the reviewer calls wrong is asked again before all is done.

A look is an ordinary job of purpose `look` with one item: some answers that the reviewer has not seen yet. What the
looks come to is counted with an interval that holds at every look at once.
"""

import logging
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, RowMapping

from firstline.orchestrator import api
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.core.each_job import for_each
from firstline.orchestrator.core.job import Job
from firstline.orchestrator.core.sharding import shard_of
from firstline.orchestrator.engine.release import release
from firstline.orchestrator.plans.patterns.pipeline import early_view, named_wrong
from firstline.orchestrator.plans.patterns.rewind import dependents
from firstline.orchestrator.plans.single_tier import one_step
from firstline.orchestrator.quality.calibration.audit import confidence_sequence
from firstline.orchestrator.store import batches, decisions, jobs, overview, rework
from firstline.orchestrator.submission.item_reader import InputItem
from firstline.schemas.base import JsonObject
from firstline.schemas.job import ItemState, JobRequest, JobState, Options
from firstline.schemas.plan import PlannedStep

_log = logging.getLogger(__name__)

PURPOSE = "look"
_ASKED, _HEARD = "asked", "heard"
#: Chance that the share of wrong answers is ever outside of its interval.
_DELTA = 0.05


class _Look(NamedTuple):
    """A look that is due: the checkpoint, its number from 1, and what was shown before."""

    planned: PlannedStep
    number: int
    seen: frozenset[str]


def sweep(engine: Context) -> None:
    """Have reviewers look where it is due, and do what follows from looks that are through."""
    with engine.db.reading() as tx:
        found = [row["id"] for row in jobs.in_state(tx, states=(JobState.RUNNING,))]
    for_each(engine, found, lambda job_id: look(engine, job_id), job_of=str)


def look(engine: Context, job_id: str) -> None:
    """Hear the looks of a job that are through, then have those made that are due."""
    with engine.db.reading() as tx:
        job = engine.job(tx, job_id)
        if not _watched(job):
            return
        notes = decisions.of(tx, job=job_id, kind=PURPOSE)
    heard = {row["data"]["look"] for row in notes if row["choice"] == _HEARD}
    for row in notes:
        if row["choice"] == _ASKED and row["data"]["look"] not in heard:
            _hear(engine, job_id, row)
    with engine.db.reading() as tx:
        due = list(_due(tx, engine.job(tx, job_id)))
    for one in due:
        _ask(engine, job_id, one)


def _watched(job: Job) -> list[PlannedStep]:
    """Return the checkpoints that look at the segment which a job is in, where that has money of its own."""
    pays = job.budget_usd is None or api.engine().settings.audit_budget_usd is not None
    if not pays or job.options.purpose != "run" or job.segment >= job.plan.segments:
        return []
    return [
        planned
        for planned in job.plan.steps
        if planned.step.every and planned.step.reviews and _is_under_way(job, job.plan.step(planned.step.reviews))
    ]


def _is_under_way(job: Job, reviewed: PlannedStep) -> bool:
    return reviewed.segment == job.segment and not reviewed.step.is_barrier


def _due(tx: Connection, job: Job) -> Iterator[_Look]:
    counts = overview.steps_by_state(tx, job=job.id)
    notes = decisions.of(tx, job=job.id, kind=PURPOSE)
    for planned in _watched(job):
        mine = [row for row in notes if row["step"] == planned.step.name]
        made = [row for row in mine if row["choice"] == _ASKED]
        settled = counts.get(planned.step.reviews or "", {}).get("settled", 0)
        through = len(mine) == 2 * len(made)
        if through and settled >= (planned.step.every or 0) * (len(made) + 1) and settled < job.items:
            yield _Look(planned, len(made) + 1, frozenset(one for row in made for one in row["data"]["shown"]))


def _ask(engine: Context, job_id: str, due: _Look) -> None:
    step = due.planned.step
    with engine.db.reading() as tx:
        job = engine.job(tx, job_id)
        count = math.ceil((step.every or 0) * step.sample)
        shown = early_view(tx, job=job, planned=due.planned, count=count, number=due.number, seen=due.seen)
    outputs = shown["outputs"]
    ids = [str(one["id"]) for one in outputs if isinstance(one, dict)] if isinstance(outputs, list) else []
    if not ids:
        return
    skill = job.plan.skills[step.skill or ""]
    request = JobRequest(
        workflow=one_step(step.name, skill, job.plan.tools),
        name=f"look {due.number} of {job.name}: {step.name}",
        profile=job.profile,
        options=Options(
            profile=job.profile.name,
            budget_usd=engine.settings.audit_budget_usd,
            tenant=job.tenant,
            dedupe=False,
            tiers=(job.orchestrator,),
            purpose=PURPOSE,
        ),
        idempotency_key=f"{PURPOSE}:{job.id}:{step.name}:{due.number}",
    )
    made = api.submit(request, [InputItem("1", shown)], folders=tuple(map(Path, job.folders)))
    with engine.db.writing() as tx:
        data: JsonObject = {"look": made, "shown": list(ids)}
        decisions.note(tx, job=job.id, kind=PURPOSE, by="engine", choice=_ASKED, step=step.name, data=data)


def _hear(engine: Context, job_id: str, asked: RowMapping) -> None:
    """Have what a look calls wrong asked again, where the step still goes on; note what all looks come to."""
    name = asked["data"]["look"]
    if not api.status(name).state.ended:
        return
    result = next(iter(api.results(name)), None)
    settled = result is not None and result.status is ItemState.SETTLED
    said = result.output if result is not None and settled and isinstance(result.output, dict) else {}
    wrong = [one for one in named_wrong(said) if one in asked["data"]["shown"]]
    with engine.db.writing() as tx:
        jobs.hold(tx, job=job_id, alone=True)
        job = engine.job(tx, job_id)
        feedback = str(said.get("feedback") or said.get("reason") or "")
        again = _again(tx, job, job.plan.step(asked["step"]), wrong, feedback)
        data: JsonObject = {"look": name, "wrong": list(wrong), "again": again, "feedback": feedback if wrong else ""}
        counted = len(asked["data"]["shown"]) if said else 0
        reason = _counted(decisions.of(tx, job=job_id, kind=PURPOSE), asked, wrong=len(wrong), shown=counted)
        decisions.note(
            tx,
            job=job_id,
            kind=PURPOSE,
            by=job.orchestrator,
            choice=_HEARD,
            step=asked["step"],
            reason=reason,
            data=data | {"counted": counted},
        )
    release(engine, job_id)


def _again(tx: Connection, job: Job, planned: PlannedStep, wrong: Sequence[str], feedback: str) -> int:
    """Ask anew for the items called wrong whose shard is through with the segment; return how many.

    The others, and all where the segment itself is through, are the checkpoint's own to find.
    """
    reviewed = job.plan.step(planned.step.reviews or "")
    if not _is_under_way(job, reviewed) or not job.state.works:
        return 0
    if not batches.unclosed(tx, job=job.id, segment=job.segment):
        return 0
    numbers = overview.numbers_of(tx, job=job.id, item_ids=wrong).values()
    through = batches.closed(tx, job=job.id, segment=job.segment, among={shard_of(n, job.shard_items) for n in numbers})
    mine = sorted(n for n in numbers if shard_of(n, job.shard_items) in through)
    if not mine:
        return 0
    told = [f"a reviewer of many answers found: {feedback}"] if feedback else []
    later = [
        name
        for name in dependents(job.plan, [reviewed.step.name], upto=job.segment)
        if name != reviewed.step.name and not job.plan.step(name).step.is_barrier
    ]
    rework.ask_anew(tx, job=job.id, numbers=mine, steps=[reviewed.step.name], feedback=told, keep=True)
    rework.ask_anew(tx, job=job.id, numbers=mine, steps=later)
    rework.go_back(tx, job=job.id, numbers=mine, segment=job.segment)
    counts = Counter(shard_of(n, job.shard_items) for n in mine)
    batches.reopen(tx, job=job.id, segment=job.segment, counts=counts)
    return len(mine)


def _counted(notes: Sequence[RowMapping], asked: RowMapping, *, wrong: int, shown: int) -> str:
    """Return how many of the answers shown so far are wrong, with an interval that holds however often one looks."""
    before = [row["data"] for row in notes if row["choice"] == _HEARD and row["step"] == asked["step"]]
    lost = wrong + sum(len(data["wrong"]) for data in before)
    seen = shown + sum(data["counted"] for data in before)
    low, high = confidence_sequence(lost, seen, delta=_DELTA)
    return f"{lost} of {seen} answers shown so far are wrong ({low:.0%} to {high:.0%}, however often one looks)"
