"""A step of one item asked again of another model, beside the item's own answer, which it replaces if a person says so.

The question is a job of its own with one call: its price is that job's, and nothing of the item changes by asking.
"""

import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

from sqlalchemy import Connection, RowMapping

from firstline.config.catalogue.catalogue import load_catalogue
from firstline.orchestrator import api
from firstline.orchestrator.core.job import Job
from firstline.orchestrator.core.ladder import output
from firstline.orchestrator.engine.apply import has_climbed, highest_tier
from firstline.orchestrator.engine.messages import subs_of, values_of
from firstline.orchestrator.experiments.compare import compare_profile, pick
from firstline.orchestrator.money.estimate import Sample, of_plan
from firstline.orchestrator.plans.compile import compile_plan
from firstline.orchestrator.plans.single_tier import one_step
from firstline.orchestrator.plans.thresholds import nothing_certified
from firstline.orchestrator.reports.item_history import AttemptLine, Story, asked_of, story_of
from firstline.orchestrator.store import decisions, jobs, rework, views
from firstline.schemas.access import Role
from firstline.schemas.base import Frozen, Json
from firstline.schemas.errors import UserError
from firstline.schemas.job import ItemState, JobRequest, JobStatus, Options
from firstline.schemas.plan import Workflow, step_of, subtask_label
from firstline.schemas.states import SubtaskState

PURPOSE = "again"


class Offer(Frozen):
    """A model that may be asked, and what that is expected to cost."""

    model: str
    tier: str
    #: None: the model has no price.
    cost_usd: float | None


class SecondAnswer(Frozen):
    """What another model was asked, and what it said so far."""

    step: str
    model: str
    #: Tier of the item's own ladder that the model belongs to.
    tier: str
    job: JobStatus
    #: None: it has not answered yet.
    attempt: AttemptLine | None
    value: Json
    #: It was taken, and stands.
    stands: bool
    #: Why it cannot take the place of the item's own answer; None: it can.
    hindrance: str | None


def offers(tx: Connection, job: Job, story: Story, step: str) -> tuple[Offer, ...]:
    """Return each model of a job's ladder with what one call of it for this step is expected to cost."""
    names = [model.name for model in job.profile.models]
    ladder = compare_profile(job.profile, names)
    workflow, inputs = _question(job, story, step)
    catalogue = load_catalogue(tenant=job.tenant)
    found = []
    for tier, name in zip(ladder.ladder, names, strict=True):
        options = Options(profile=ladder.name, tenant=job.tenant, purpose=PURPOSE, tiers=(tier.name,))
        plan = compile_plan(
            workflow, catalogue=catalogue, profile=ladder, tiers=options.tiers, certificates=nothing_certified
        )
        expected = of_plan(tx, plan, profile=ladder, options=options, sample=Sample(1, [inputs]))
        found.append(Offer(model=name, tier=pick(job.profile, name)[0].name, cost_usd=expected.cost_usd))
    return tuple(found)


def ask_again(job_id: str, n: int, *, step: str, model: str, role: Role) -> str:
    """Ask a model about an item's step for whoever has this role; return the job that does it.

    UserError: not asked by itself, no such model, or its tenant has as much at work as it may have.
    """
    with api.engine().db.reading() as tx:
        job = api.engine().job(tx, job_id)
        story = story_of(tx, job=job_id, n=n)
        before = len(views.with_key_prefix(tx, prefix=f"{PURPOSE}:{job_id}:{n}:"))
    if model not in [one.name for one in job.profile.models]:
        known = ", ".join(one.name for one in job.profile.models)
        raise UserError(f"the job's profile '{job.profile.name}' has no model '{model}'; it has {known}")
    workflow, inputs = _question(job, story, step)
    ladder = compare_profile(job.profile, [model])
    request = JobRequest(
        workflow=workflow,
        profile=ladder,
        name=f"{subtask_label(step)} of {story.item.item_id} again, by {model}",
        options=Options(profile=ladder.name, tenant=job.tenant, purpose=PURPOSE, dedupe=False),
        idempotency_key=f"{PURPOSE}:{job_id}:{n}:{step}:{before:04}-{secrets.token_hex(4)}",
        role=role,
    )
    return api.submit(request, [inputs], folders=tuple(map(Path, job.folders)))


def _question(job: Job, story: Story, step: str) -> tuple[Workflow, dict[str, Json]]:
    asked = asked_of(job, story, step)
    if asked is None:
        raise UserError(f"step '{step}' was not asked about this item by itself; only such steps are asked again")
    skill, inputs = asked
    single = skill.evolve(policy=skill.policy.evolve(attempts_per_tier=1))
    # Its checks may look at more of the item than the model is shown.
    return one_step("again", single, job.plan.tools), {**story.input, **inputs}


def second_answers(tx: Connection, job: Job, story: Story) -> tuple[SecondAnswer, ...]:
    """Return what other models were asked about an item, in the order in which they were asked."""
    n = story.item.n
    rows = [jobs.get(tx, job=name) for name in views.with_key_prefix(tx, prefix=f"{PURPOSE}:{job.id}:{n}:")]
    # A key of an item's own form may have been sent by anybody; the purpose may not.
    asked = [row for row in rows if row["purpose"] == PURPOSE]
    taken = [row for row in decisions.of(tx, job=job.id, kind=PURPOSE) if row["item"] == n] if asked else []
    stands = {row["step"]: row["data"]["job"] for row in taken}
    return tuple(_second(tx, job, story, row, stands) for row in asked)


def _second(tx: Connection, job: Job, story: Story, row: RowMapping, stands: Mapping[str, str]) -> SecondAnswer:
    name, step = row["id"], row["idempotency_key"].split(":")[3]
    asked = api.engine().job(tx, name)
    model = asked.profile.ladder[0].models[0].name
    answered = story_of(tx, job=name, n=0)
    status = jobs.status(tx, job=name)
    return SecondAnswer(
        step=step,
        model=model,
        tier=pick(job.profile, model)[0].name,
        job=status,
        attempt=answered.attempts[-1] if answered.attempts else None,
        value=answered.output,
        stands=stands.get(step) == name,
        hindrance=next(_hindrances(job, story, step, answered), None),
    )


def _hindrances(job: Job, story: Story, step: str, answered: Story) -> Iterator[str]:
    """Yield what stands in the way of an answer's taking the place of the item's own."""
    if answered.item.status is not ItemState.SETTLED:
        yield f"it is no answer to take: {answered.item.reason or 'it has not come yet'}"
    if not job.state.ended:
        yield f"job {job.id} is {job.state.value}; wait until it has ended"
    if step_of(step) != step:
        yield "it is one element of a list, which has been put together"
    read = [one.step.name for one in job.plan.steps if step in one.step.after and not one.step.is_barrier]
    begun = {one.step for one in story.subtasks if one.state != SubtaskState.SKIPPED}
    if later := [name for name in read if name in begun or story.item.status is not ItemState.SETTLED]:
        yield f"step '{later[0]}' goes on from this one's answer; try the item again as a whole"
    failed = [one.step for one in story.subtasks if one.state == SubtaskState.FAILED and one.step != step]
    if failed:
        yield f"step '{failed[0]}' has failed as well"


def take(job_id: str, n: int, *, answer: str, by: str) -> None:
    """Let a second answer (the id of its job) stand in place of the item's own; UserError where it cannot."""
    steering = api.engine()
    with steering.db.writing() as tx:
        jobs.get(tx, job=job_id)
        jobs.hold(tx, job=job_id, alone=True)
        job = steering.job(tx, job_id)
        story = story_of(tx, job=job_id, n=n)
        second = next((one for one in second_answers(tx, job, story) if one.job.job == answer), None)
        if second is None:
            raise UserError(f"job {answer} asked nothing about this item; open the item's page again")
        if second.hindrance is not None:
            raise UserError(f"the answer of {second.model} cannot be taken: {second.hindrance}")
        rework.replace_answer(tx, job=job_id, item=n, step=second.step, value=second.value, tier=second.tier)
        subs = subs_of(tx, job=job, numbers=[n])[n]
        rework.replace_result(
            tx,
            job=job_id,
            item=n,
            output=output(job.plan, item=story.input, values=values_of(subs)),
            tier=highest_tier(job, subs),
            climbed=has_climbed(job, subs),
        )
        decisions.note(
            tx,
            job=job_id,
            item=n,
            step=second.step,
            kind=PURPOSE,
            by=by,
            choice=f"the answer of {second.model}",
            reason=f"taken from job {answer} in place of the item's own",
            data={"value": second.value, "job": answer, "before": story.output},
        )
