"""A workflow as one tier does it alone: no answer is sent on, nobody is asked for help."""

from collections.abc import Mapping

from firstline.schemas.plan import Step, Workflow
from firstline.schemas.policy import LastResort, Policy
from firstline.schemas.skill import Skill
from firstline.schemas.tool import ToolSpec


def on_its_own(workflow: Workflow, skills: Mapping[str, Skill], *, weighed: bool = False) -> Workflow:
    """Return the workflow with its per-item steps only, and nobody to turn to for an answer.

    `weighed`: confidence is measured although nothing depends on it, which may cost calls of its own.
    """
    steps = per_item(workflow)
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
