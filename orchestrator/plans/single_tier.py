"""A workflow as one tier does it alone: no answer is sent on, nobody is asked for help."""

from collections.abc import Mapping

from firstline.schemas.errors import UserError
from firstline.schemas.plan import Plan, PlannedStep, Step, StepKind, Workflow
from firstline.schemas.policy import LastResort, Policy
from firstline.schemas.skill import Skill
from firstline.schemas.tool import ToolSpec

#: What the jobs are for that measure a tier without our judgement.
BASELINE = "baseline"


def on_its_own(workflow: Workflow, skills: Mapping[str, Skill], *, weighed: bool = False) -> Workflow:
    """Return the workflow with its per-item steps only, and nobody to turn to for an answer; UserError: it has none.

    `weighed`: confidence is measured although nothing depends on it, which may cost calls of its own.
    """
    steps = per_item(workflow)
    if not steps:
        raise UserError(f"workflow '{workflow.name}' has no step that looks at one item by itself: nothing is compared")
    names = {step.name for step in steps}
    own = tuple(skill.evolve(policy=alone(skill.policy, weighed=weighed)) for skill in skills.values())
    output = workflow.output if _is_within(workflow.output, names) else None
    return workflow.evolve(
        steps=tuple(step.evolve(policy=alone(step.policy, weighed=weighed)) if step.policy else step for step in steps),
        skills=own,
        output=output,
        adapt=False,
    )


def one_step(name: str, skill: Skill, tools: Mapping[str, ToolSpec]) -> Workflow:
    """Return a workflow that asks one skill with its inputs as they are, on one tier alone, and weighs no answer."""
    return Workflow(
        name=f"ask-{skill.name}",
        steps=(Step(name=name, skill=skill.name),),
        skills=(skill.evolve(policy=alone(skill.policy), confidence=()),),
        tools=tuple(tool for tool_name, tool in tools.items() if tool_name in skill.tools),
    )


def alone(policy: Policy, *, weighed: bool = False) -> Policy:
    """Return a policy for a tier that has nobody to turn to; a declared threshold of 0 lets confidence be measured."""
    return policy.evolve(
        min_confidence=0.0 if weighed else None,
        uncalibrated="accept",
        unsure="accept",
        last_resort=LastResort.REJECT,
        audit_share=0.0,
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
    read = [*step.inputs.values(), step.for_each or ""]
    needs = {*step.after, *(reference.partition(".")[0] for reference in read)} & names
    return not step.is_barrier and needs <= kept.keys()


def _is_within(output: str | Mapping[str, str] | None, names: set[str]) -> bool:
    if output is None or isinstance(output, str):
        return output is None or output in names
    roots = {reference.partition(".")[0] for reference in output.values() if not reference.startswith("=")}
    return roots <= {*names, "item"}


def as_they_come(plan: Plan) -> Plan:
    """Return the plan with every answer of the asked-for form accepted: what a model does without our judgement.

    With the checks on, a tier alone would fail on what it would have sent up, and look worse than its answers are.
    Nobody reviews it either: what a checkpoint costs and asks anew is the price of judging cheap answers.
    """
    plan = _unreviewed(plan)
    skills = {name: skill.evolve(checks=(), confidence=()) for name, skill in plan.skills.items()}
    steps = (planned.evolve(thresholds={}, policy=_trusting(planned.policy)) for planned in plan.steps)
    return plan.evolve(skills=skills, steps=tuple(steps))


def _unreviewed(plan: Plan) -> Plan:
    """Return the plan without its checkpoints, unless a step reads what one says."""
    reviews = {one.step.name: one.step.after for one in plan.steps if one.step.kind is StepKind.CHECKPOINT}
    inputs = (reference for one in plan.steps for reference in one.step.inputs.values())
    read = [*inputs, *(one.step.when or "" for one in plan.steps), str(plan.output)]
    gone = {name: after for name, after in reviews.items() if not any(f"{name}." in text for text in read)}
    kept = [one for one in plan.steps if one.step.name not in gone]
    places = {segment: place for place, segment in enumerate(sorted({one.segment for one in kept}))}

    def moved(one: PlannedStep) -> PlannedStep:
        after = _without(one.step.after, gone)
        return one.evolve(step=one.step.evolve(after=after), segment=places[one.segment])

    return plan.evolve(steps=tuple(map(moved, kept)), adapt=False)


def _without(after: tuple[str, ...], gone: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return what a step waits for, with what the missing ones waited for in their place."""
    found = [other for name in after for other in (_without(gone[name], gone) if name in gone else (name,))]
    return tuple(dict.fromkeys(found))


def _trusting(policy: Policy) -> Policy:
    return policy.evolve(min_confidence=None, uncalibrated="accept", unsure="accept", audit_share=0.0)
