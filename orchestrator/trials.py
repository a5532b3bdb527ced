"""Trials: the same items on one tier alone, as ordinary jobs; what calibrations, comparisons and audits are made of."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator import api
from orchestrator.inputs import InputItem
from orchestrator.order import Order
from orchestrator.runner import Crew, Interrupted, View, follow
from schemas.base import JsonObject, digest
from schemas.errors import UserError
from schemas.job import JobRequest, JobState
from schemas.plan import Step, StepKind, Workflow
from schemas.policy import LastResort, Policy
from schemas.skill import Skill

#: Steps that look at one item alone.
_PER_ITEM = frozenset({StepKind.SKILL, StepKind.ROUTE, StepKind.TOOL})


@dataclass(frozen=True)
class Trial:
    """One job of a trial."""

    request: JobRequest
    items: Sequence[InputItem]
    folders: tuple[Path, ...] = ()
    #: Shown before its progress.
    title: str = ""


def run_trial(trial: Trial, crew: Crew, view: View) -> str:
    """Run a trial to its end and return its job; one that an earlier run left unfinished goes on.

    Raises Interrupted when it paused (its budget is used up, a person stopped it): the same command goes on.
    """
    job = api.submit(trial.request, trial.items, folders=trial.folders)
    _wake(job, trial.request.options.budget_usd)
    status = follow(job, View(quiet=view.quiet), crew.check, title=trial.title)
    if status.state is not JobState.DONE:
        why = status.reason or status.state.value
        text = f"{trial.title}job {job} is {status.state.value} ({why}); what was answered is kept: the same command "
        raise Interrupted(f"{text}goes on, with a larger --budget if that is what stopped it", exit_code=1)
    return job


def _wake(job: str, budget_usd: float | None) -> None:
    status = api.status(job)
    if status.state is not JobState.PAUSED:
        return
    more_usd = (budget_usd or 0.0) - (status.budget_usd or 0.0)
    if status.budget_usd is not None and more_usd > 0:
        api.raise_budget(job, more_usd)
    else:
        api.resume(job)


def trial_request(
    order: Order, workflow: Workflow, crew: Crew, *, tier: str, purpose: str, key: str | None = None
) -> JobRequest:
    """Return the request for an order's work on one tier alone, under the order's budget."""
    options = order.request.options.evolve(
        tiers=(tier,), purpose=purpose, dedupe=False, webhook_url=None, approve=False, cache=False
    )
    name = f"{purpose} {workflow.name} on {tier}"
    return JobRequest(workflow=workflow, profile=crew.profile, name=name, options=options, idempotency_key=key)


def left_of(budget_usd: float | None, spent_usd: float) -> float | None:
    """Return what a budget leaves after a first job; UserError when nothing is left for the second."""
    if budget_usd is None:
        return None
    if budget_usd <= spent_usd:
        raise UserError(
            f"the budget of ${budget_usd:g} is used up (${spent_usd:.4f} spent); what was answered is kept: give the "
            "same command a larger --budget"
        )
    return budget_usd - spent_usd


def trial_key(purpose: str, workflow: Workflow, models: Iterable[str], items: Sequence[InputItem]) -> str:
    """Return the idempotency key of a trial: the same work on the same items by the same models is paid for once."""
    asked = [[item.item_id, item.input] for item in items]
    what = [workflow.model_dump(mode="json"), list(models), asked]
    return f"{purpose}:{digest(what, length=32)}"


def measurable(workflow: Workflow, skills: Mapping[str, Skill]) -> Workflow:
    """Return the workflow with its per-item steps only, every answer weighed and none sent on.

    A declared threshold of 0 lets confidence be measured although nothing depends on it; nobody is asked for help, as
    what is to be known is how the tier does alone.
    """
    steps = per_item(workflow)
    names = {step.name for step in steps}
    own = tuple(skill.evolve(policy=alone(skill.policy)) for skill in skills.values())
    output = workflow.output if _is_within(workflow.output, names) else None
    return workflow.evolve(
        steps=tuple(step.evolve(policy=alone(step.policy)) if step.policy else step for step in steps),
        skills=own,
        output=output,
        adapt=False,
    )


def alone(policy: Policy) -> Policy:
    """Return a policy for a tier that has nobody to turn to, with its confidence measured."""
    return policy.evolve(
        min_confidence=0.0, uncalibrated="accept", unsure="accept", last_resort=LastResort.REJECT, audit_share=0.0
    )


def per_item(workflow: Workflow) -> tuple[Step, ...]:
    """Return the steps that look at one item alone and wait for no step that sees all of them."""
    kept: dict[str, Step] = {}
    names = {step.name for step in workflow.steps}
    waiting = list(workflow.steps)
    while found := [step for step in waiting if _stands_alone(step, names, kept)]:
        kept |= {step.name: step for step in found}
        waiting = [step for step in waiting if step.name not in kept]
    return tuple(step for step in workflow.steps if step.name in kept)


def _stands_alone(step: Step, names: set[str], kept: Mapping[str, Step]) -> bool:
    needs = {*step.after, *(reference.partition(".")[0] for reference in step.inputs.values())} & names
    return step.kind in _PER_ITEM and step.scope == "item" and needs <= kept.keys()


def _is_within(output: str | Mapping[str, str] | None, names: set[str]) -> bool:
    if output is None or isinstance(output, str):
        return output is None or output in names
    roots = {reference.partition(".")[0] for reference in output.values() if not reference.startswith("=")}
    return roots <= {*names, "item"}


def sample(items: Iterable[InputItem], count: int, *, seed: int, but: Iterable[JsonObject] = ()) -> list[InputItem]:
    """Return `count` usable items drawn evenly at random (all where there are fewer), each input once.

    Equal inputs would count as several labels for one. Reservoir sampling (Vitter 1985, algorithm R): one pass, and
    memory for the sample and a hash per item. What is in `but` is not drawn.
    """
    rng = random.Random(seed)
    seen = {_key(other) for other in but}
    drawn: list[InputItem] = []
    usable = 0
    for item in items:
        key = _key(item.input)
        if item.error is not None or key in seen:
            continue
        seen.add(key)
        usable += 1
        if len(drawn) < count:
            drawn.append(item)
        elif (place := rng.randrange(usable)) < count:
            drawn[place] = item
    return drawn


def _key(fields: JsonObject) -> str:
    return digest({name: value for name, value in fields.items() if name != "id"})
