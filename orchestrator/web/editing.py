"""What a workflow's editor does: steps added, removed, renamed, connected, configured; pure, on the value."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from firstline.config.catalogue.references import dependencies
from firstline.config.errors.error_messages import sentence
from firstline.schemas.errors import UserError
from firstline.schemas.plan import Step, StepKind, Workflow
from firstline.schemas.policy import Policy
from firstline.schemas.skill import Skill


def add_step(workflow: Workflow, *, skill: str, after: str | None) -> tuple[Workflow, str]:
    """Return the workflow with one more step behind another one, and the new step's name."""
    base = re.sub(r"\W", "_", skill) or "step"
    taken = {step.name for step in workflow.steps}
    name = next(name for n in range(1, len(taken) + 2) if (name := base if n == 1 else f"{base}_{n}") not in taken)
    step = Step(name=name, skill=skill, after=(after,) if after else ())
    return workflow.evolve(steps=(*workflow.steps, step)), name


def remove_step(workflow: Workflow, name: str) -> Workflow:
    """Return the workflow without a step; those that waited for it wait for what it waited for."""
    gone = find(workflow, name)
    kept = tuple(_without(step, gone) for step in workflow.steps if step.name != name)
    if not kept:
        raise UserError("a workflow has at least one step; add another one before you remove this")
    output = None if workflow.output == name else workflow.output
    return workflow.evolve(steps=kept, output=output)


def _without(step: Step, gone: Step) -> Step:
    if gone.name not in step.after:
        return step
    after = [name for name in (*step.after, *gone.after) if name not in (gone.name, step.name)]
    return step.evolve(after=tuple(dict.fromkeys(after)))


def connect(workflow: Workflow, source: str, target: str) -> Workflow:
    """Return the workflow with `target` waiting for `source`, or no more if it did; UserError for a circle."""
    find(workflow, source)
    step = find(workflow, target)
    if source in step.after:
        after = tuple(name for name in step.after if name != source)
    elif source == target or target in _before(workflow, source):
        raise UserError(f"'{target}' cannot wait for '{source}', which waits for it")
    else:
        after = (*step.after, source)
    return _replaced(workflow, target, step.evolve(after=after))


def _before(workflow: Workflow, name: str) -> set[str]:
    """Return everything that a step waits for, near and far."""
    known = {step.name: step for step in workflow.steps}
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for other in needs_of(known[waiting.pop()]):
            if other in known and other not in found:
                found.add(other)
                waiting.append(other)
    return found


def needs_of(step: Step) -> tuple[str, ...]:
    """Return what a step waits for; only what it names where its condition cannot be read."""
    try:
        return dependencies(step)
    except (SyntaxError, ValueError):
        return step.after


def find(workflow: Workflow, name: str) -> Step:
    """Return a step by name."""
    for step in workflow.steps:
        if step.name == name:
            return step
    raise UserError(f"the workflow has no step '{name}'")


def change_step(workflow: Workflow, name: str, fields: Mapping[str, Any], skills: Mapping[str, Skill]) -> Workflow:
    """Return the workflow with a step's fields changed, references to a new name with it.

    `start` is the tier that the step begins on ("": as its skill says). UserError says what a field should hold.
    """
    step = find(workflow, name)
    changes = dict(fields)
    start = changes.pop("start", None)
    data = step.model_dump(mode="json") | changes
    if data["kind"] == StepKind.TOOL:
        data["skill"] = None
    else:
        data["tool"] = None
    try:
        changed = Step.model_validate(data)
    except ValidationError as error:
        said = "\n".join(f"{one['loc'][0] if one['loc'] else 'step'}: {sentence(one)}" for one in error.errors())
        raise UserError(said) from None
    if changed.name != name and changed.name in {one.name for one in workflow.steps}:
        raise UserError(f"there is a step '{changed.name}' already")
    changed = changed if start is None else starting(changed, start, skills.get(changed.skill or ""))
    replaced = _replaced(workflow, name, changed)
    return replaced if changed.name == name else _renamed(replaced, name, changed.name)


def starting(step: Step, tier: str, skill: Skill | None) -> Step:
    """Return the step beginning on a tier ("": as its skill says); of its policy nothing else changes."""
    own = step.policy or Policy()
    says = {name: getattr(own, name) for name in own.model_fields_set - {"start"}}
    if tier and (skill is None or skill.policy.start != tier):
        says["start"] = tier
    return step.evolve(policy=Policy(**says) if says else None)


def _replaced(workflow: Workflow, name: str, step: Step) -> Workflow:
    return workflow.evolve(steps=tuple(step if one.name == name else one for one in workflow.steps))


def _renamed(workflow: Workflow, old: str, new: str) -> Workflow:
    def reference(text: str) -> str:
        root, dot, rest = text.partition(".")
        return f"{new}{dot}{rest}" if root == old else text

    def step(one: Step) -> Step:
        return one.evolve(
            after=tuple(new if name == old else name for name in one.after),
            inputs={field: reference(text) for field, text in one.inputs.items()},
            when=one.when and re.sub(rf"(?<![\w.'\"]){old}\b", new, one.when),
            reviews=new if one.reviews == old else one.reviews,
        )

    output = workflow.output
    if isinstance(output, str):
        output = new if output == old else output
    elif output is not None:
        output = {field: reference(text) for field, text in output.items()}
    return workflow.evolve(steps=tuple(map(step, workflow.steps)), output=output)


def alone(step: Step, skill: Skill | None) -> Workflow:
    """Return the workflow of one step by itself: its inputs are the item's fields."""
    lone = Step(
        name=step.name,
        kind=step.kind if step.kind in (StepKind.TOOL, StepKind.ROUTE) else StepKind.SKILL,
        skill=step.skill,
        tool=step.tool,
        reasoning=step.reasoning,
        policy=step.policy,
        options=step.options if step.kind is StepKind.TOOL else {},
    )
    return Workflow(name="try", steps=(lone,), skills=(skill,) if skill else ())
