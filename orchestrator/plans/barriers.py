"""What the engine does at a barrier, by the kind of its step: what it is shown, and what follows from its answer."""

from collections.abc import Mapping
from typing import assert_never

from sqlalchemy import Connection

from firstline.orchestrator.core.job import Job
from firstline.orchestrator.core.ladder import Sub
from firstline.orchestrator.plans.patterns import adapting, hierarchy, pipeline, tree
from firstline.orchestrator.plans.patterns.base import Next, View, all_items
from firstline.orchestrator.store import decisions
from firstline.schemas.base import Json
from firstline.schemas.plan import Plan, PlannedStep, StepKind
from firstline.schemas.states import SubtaskState


def view(tx: Connection, *, job: Job, planned: PlannedStep) -> View:
    """Return what a step of the whole job is shown, besides what other such steps have answered."""
    match planned.step.kind:
        case StepKind.CHECKPOINT:
            return pipeline.view(tx, job=job, planned=planned)
        case StepKind.PLAN:
            return hierarchy.view(tx, job=job, planned=planned)
        case StepKind.ADAPT:
            return adapting.view(tx, job=job, planned=planned)
        case StepKind.SYNTHESIZE:
            return tree.view(tx, job=job, planned=planned)
        case StepKind.SKILL | StepKind.TOOL | StepKind.ROUTE:
            return View(settled=all_items(tx, job=job, planned=planned))
    assert_never(planned.step.kind)


def prepare(tx: Connection, *, job: Job, segment: int) -> Job:
    """Return the job with what its plan gains before a segment is opened: a look at its course, a level of a tree."""
    job = adapting.prepare(tx, job=job, segment=segment)
    if segment < job.plan.segments and job.plan.segment(segment)[0].step.kind is StepKind.SYNTHESIZE:
        return tree.prepare(tx, job=job, segment=segment)
    return job


def forgive(subs: Mapping[str, Sub], plan: Plan) -> dict[str, Sub]:
    """Return the whole job's subtasks with those skipped that failed and that it can do without."""
    optional = {planned.step.name for planned in plan.steps if planned.step.kind.is_optional}
    return {
        name: sub._replace(state=SubtaskState.SKIPPED) if sub.state == SubtaskState.FAILED and name in optional else sub
        for name, sub in subs.items()
    }


def follow(tx: Connection, *, job: Job, subs: Mapping[str, Sub], steps: list[str], by: Mapping[str, str]) -> Next:
    """Do what follows from the answers of steps of the whole job that have just ended; `by` names the models."""
    ahead = Next(job)
    for name in steps:
        planned, sub = ahead.job.plan.step(name), subs[name]
        if sub.state == SubtaskState.SKIPPED and planned.step.kind.is_optional and sub.reason:
            _note_skipped(tx, ahead.job, planned, sub)
        elif sub.state == SubtaskState.SETTLED:
            ahead = _follow_one(tx, ahead, planned, sub.value, by.get(name, "engine"))
    return ahead


def note_failed(tx: Connection, *, job: Job, subs: Mapping[str, Sub], reason: str) -> None:
    """Record that a step of the whole job failed, which the job cannot do without."""
    for name, sub in subs.items():
        if sub.state == SubtaskState.FAILED:
            kind = job.plan.step(name).step.kind.value
            decisions.note(tx, job=job.id, kind=kind, by="engine", choice="failed", reason=reason, step=name)


def _follow_one(tx: Connection, ahead: Next, planned: PlannedStep, value: Json, by: str) -> Next:
    match planned.step.kind:
        case StepKind.CHECKPOINT:
            return pipeline.follow(tx, job=ahead.job, planned=planned, value=value, by=by)
        case StepKind.PLAN:
            return hierarchy.follow(tx, job=ahead.job, planned=planned, value=value, by=by)
        case StepKind.ADAPT:
            return adapting.follow(tx, job=ahead.job, planned=planned, value=value, by=by)
        case StepKind.SYNTHESIZE | StepKind.SKILL | StepKind.TOOL | StepKind.ROUTE:
            return ahead
    assert_never(planned.step.kind)


def _note_skipped(tx: Connection, job: Job, planned: PlannedStep, sub: Sub) -> None:
    decisions.note(
        tx,
        job=job.id,
        kind=planned.step.kind.value,
        by="engine",
        choice="proceed" if planned.step.kind is StepKind.CHECKPOINT else "continue",
        reason=f"nobody could answer it: {sub.reason}",
        step=planned.step.name,
    )
