"""Adapting: after each segment the orchestrator model looks at what has come out and goes on, amends or stops."""

from dataclasses import replace

from sqlalchemy import Connection

from firstline.config.drafts.draft import RESERVED, Draft
from firstline.orchestrator.core.job import Job
from firstline.orchestrator.plans.compile import ADAPT
from firstline.orchestrator.plans.patterns.base import Next, View
from firstline.orchestrator.plans.patterns.growth import insert, replace_rest
from firstline.orchestrator.plans.planner.given import given
from firstline.orchestrator.plans.planner.settle import compile_draft
from firstline.orchestrator.store import decisions, job_figures, jobs, overview
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.errors import UserError
from firstline.schemas.plan import Plan, PlannedStep, Step, StepKind

#: Times that one job is looked at.
ROUNDS = 5
_REASONS = 10


def prepare(tx: Connection, *, job: Job, segment: int) -> Job:
    """Return the job with a look at its course before `segment`, if it adapts and rounds are left."""
    number = _looks(job.plan)
    before = job.plan.segment(segment - 1)
    if not job.plan.adapt or number >= ROUNDS or any(planned.step.is_barrier for planned in before):
        return job
    skill = job.plan.skills[ADAPT]
    step = Step(name=f"adapt{RESERVED}{number}", kind=StepKind.ADAPT, skill=ADAPT, scope="job")
    look = PlannedStep(step=step, segment=0, start_tier=job.orchestrator, policy=skill.policy)
    grown = insert(job.plan, [look], at=segment)
    jobs.set_plan(tx, job=job.id, plan=grown.model_dump(mode="json"))
    return replace(job, plan=grown)


def view(tx: Connection, *, job: Job, planned: PlannedStep) -> View:
    """Return what has come out so far and what is still ahead."""
    known = given(tx, job=job, planned=planned)
    ahead: list[Json] = [_told(step) for step in _ahead(job, planned)]
    reasons = job_figures.failures(tx, job=job.id)
    statistics: JsonObject = {
        **overview.by_state(tx, job=job.id),
        "items": job.items,
        "failures": dict(list(reasons.items())[:_REASONS]),
        "answers": {step: dict(states) for step, states in overview.steps_by_state(tx, job=job.id).items()},
        "by_tier": dict(overview.by_tier(tx, job=job.id)),
        "cost_usd": jobs.spent(tx, job=job.id),
        "rounds_left": ROUNDS - _looks(job.plan),
    }
    return View({**known.model_dump(mode="json"), "ahead": ahead, "statistics": statistics})


def follow(tx: Connection, *, job: Job, planned: PlannedStep, value: Json, by: str) -> Next:
    """Go on as planned, with other steps, or not at all; what cannot be carried out changes nothing."""
    said = value if isinstance(value, dict) else {}
    choice, reason = str(said.get("decision")), str(said.get("reason") or "")
    grown = job.plan
    if choice == "stop":
        grown = replace_rest(job.plan, None, behind=planned.segment)
    elif choice == "amend":
        try:
            draft = _as_declared(Draft.of(value), _ahead(job, planned))
            sub = compile_draft(tx, job=job, planned=planned, draft=draft)
            grown = replace_rest(job.plan, sub, behind=planned.segment)
        except UserError as error:
            choice, reason = "continue", f"its amendment cannot be carried out: {error}"
    else:
        choice = "continue"
    decisions.note(
        tx,
        job=job.id,
        kind="adapt",
        by=by,
        choice=choice,
        reason=reason,
        step=planned.step.name,
        data={"steps": [step.name for step in _ahead(replace(job, plan=grown), planned)]},
    )
    if grown is job.plan:
        return Next(job)
    jobs.set_plan(tx, job=job.id, plan=grown.model_dump(mode="json"))
    return Next(replace(job, plan=grown))


def _ahead(job: Job, planned: PlannedStep) -> list[Step]:
    return [one.step for one in job.plan.steps if one.segment > planned.segment]


def _told(step: Step) -> JsonObject:
    """Return a step as a model may write it: without options, which may hold such as a database's URL."""
    goal: JsonObject = {"options": {"goal": step.options.get("goal")}} if step.kind is StepKind.PLAN else {}
    return {**step.model_dump(mode="json", exclude_defaults=True, exclude={"options", "policy"}), **goal}


def _as_declared(draft: Draft, ahead: list[Step]) -> Draft:
    """Return the draft with the steps that it keeps as they were declared: with their options and policies."""
    declared = {(step.name, step.kind, step.skill, step.tool): step for step in ahead}
    steps = (
        step.evolve(options=known.options, policy=known.policy)
        if (known := declared.get((step.name, step.kind, step.skill, step.tool)))
        else step
        for step in draft.steps
    )
    return draft.evolve(steps=tuple(steps))


def _looks(plan: Plan) -> int:
    return sum(planned.step.kind is StepKind.ADAPT for planned in plan.steps)
