"""Hierarchical plans: a `plan` step opens a sub-plan when its turn comes, written for what is known by then."""

from dataclasses import replace

from sqlalchemy import Connection

from firstline.config.drafts.draft import PLANNING, Draft
from firstline.orchestrator.core.job import Job
from firstline.orchestrator.plans.patterns.base import Next, View
from firstline.orchestrator.plans.patterns.growth import open_sub_plan
from firstline.orchestrator.plans.planner.given import given
from firstline.orchestrator.plans.planner.settle import compile_draft
from firstline.orchestrator.store import decisions, jobs
from firstline.schemas.base import Json
from firstline.schemas.errors import UserError
from firstline.schemas.job import JobState
from firstline.schemas.plan import PlannedStep, Step, StepKind


def sub_plan(name: str, goal: str, *, after: tuple[str, ...] = (), why: str = "") -> Step:
    """Return a step that has its sub-plan written when the steps that it waits for are done."""
    return Step(name=name, kind=StepKind.PLAN, after=after, options={"goal": goal}, why=why)


def view(tx: Connection, *, job: Job, planned: PlannedStep) -> View:
    """Return what the planner is shown."""
    return View(given(tx, job=job, planned=planned).model_dump(mode="json"))


def follow(tx: Connection, *, job: Job, planned: PlannedStep, value: Json, by: str) -> Next:
    """Put the plan that was written behind the step that asked for it; a goal's own plan may wait for a yes."""
    draft = Draft.of(value)
    if draft.impossible and not draft.steps:
        _note(tx, job, planned, by, "impossible", draft.impossible)
        return Next(job, failure=f"the planner sees no way to reach the goal: {draft.impossible}")
    try:
        sub = compile_draft(tx, job=job, planned=planned, draft=draft)
    except UserError as error:
        _note(tx, job, planned, by, "refused", str(error))
        return Next(job, failure=f"the plan cannot be carried out: {error}")
    grown = open_sub_plan(job.plan, sub, opener=planned.step.name)
    _note(tx, job, planned, by, "planned", draft.summary, steps=len(sub.steps))
    jobs.set_plan(tx, job=job.id, plan=grown.model_dump(mode="json"))
    waits = planned.step.name == PLANNING and job.options.approve
    if planned.step.name == PLANNING:
        to = JobState.AWAITING_APPROVAL if waits else JobState.RUNNING
        reason = f"its plan waits for a yes: firstline approve {job.id}" if waits else None
        jobs.move(tx, job=job.id, to=to, among=(JobState.PLANNING,), reason=reason)
    return Next(replace(job, plan=grown))


def _note(tx: Connection, job: Job, planned: PlannedStep, by: str, choice: str, reason: str, **data: Json) -> None:
    step = planned.step.name
    decisions.note(tx, job=job.id, kind="plan", by=by, choice=choice, reason=reason, step=step, data=data)
