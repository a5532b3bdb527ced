"""Plans that grow while their job runs: pure functions from plan to plan."""

import re
from collections.abc import Sequence

from firstline.schemas.plan import Plan, PlannedStep, Step


def insert(plan: Plan, steps: Sequence[PlannedStep], *, at: int) -> Plan:
    """Return the plan with steps put in before segment `at`; theirs are counted from 0, later ones make room."""
    room = 1 + max(planned.segment for planned in steps)
    moved = [_moved(planned, room) if planned.segment >= at else planned for planned in plan.steps]
    added = [_moved(planned, at) for planned in steps]
    return plan.evolve(steps=tuple(sorted((*moved, *added), key=lambda planned: planned.segment)))


def change_step(plan: Plan, step: Step) -> Plan:
    """Return the plan with the step of that name changed."""
    steps = (planned.evolve(step=step) if planned.step.name == step.name else planned for planned in plan.steps)
    return plan.evolve(steps=tuple(steps))


def open_sub_plan(plan: Plan, sub: Plan, *, opener: str) -> Plan:
    """Return the plan with a sub-plan behind the step that opened it; what referred to that step gets its output."""
    grown = insert(plan, sub.steps, at=plan.step(opener).segment + 1)
    behind = plan.step(opener).segment + sub.segments
    steps = tuple(
        planned.evolve(step=_redirected(planned.step, opener, sub)) if planned.segment > behind else planned
        for planned in grown.steps
    )
    output = sub.output if plan.output == opener else _redirected_output(plan, opener, sub)
    return _with_parts(grown, sub).evolve(steps=steps, output=output)


def replace_rest(plan: Plan, sub: Plan | None, *, behind: int) -> Plan:
    """Return the plan with everything behind a segment replaced by another plan, or dropped."""
    kept = plan.evolve(steps=tuple(planned for planned in plan.steps if planned.segment <= behind))
    if sub is None:
        return kept
    return _with_parts(insert(kept, sub.steps, at=behind + 1), sub).evolve(output=sub.output)


def _moved(planned: PlannedStep, by: int) -> PlannedStep:
    return planned.evolve(segment=planned.segment + by)


def _with_parts(plan: Plan, sub: Plan) -> Plan:
    return plan.evolve(
        skills={**plan.skills, **sub.skills}, tools={**plan.tools, **sub.tools}, refer=plan.refer or sub.refer
    )


def _redirected(step: Step, opener: str, sub: Plan) -> Step:
    inputs = {field: _reference(reference, opener, sub) for field, reference in step.inputs.items()}
    if not isinstance(sub.output, str) or (inputs == step.inputs and opener not in (step.when or "")):
        return step.evolve(inputs=inputs)
    when = re.sub(rf"\b{opener}\b", sub.output, step.when) if step.when else None
    reviews = sub.output if step.reviews == opener else step.reviews
    return step.evolve(inputs=inputs, when=when, reviews=reviews, after=tuple({*step.after, sub.output}))


def _redirected_output(plan: Plan, opener: str, sub: Plan) -> str | dict[str, str]:
    if isinstance(plan.output, str):
        return plan.output
    return {field: _reference(reference, opener, sub) for field, reference in plan.output.items()}


def _reference(reference: str, opener: str, sub: Plan) -> str:
    name, dot, path = reference.partition(".")
    if name != opener:
        return reference
    if isinstance(sub.output, str):
        return f"{sub.output}{dot}{path}"
    first, more, rest = path.partition(".")
    return f"{sub.output[first]}{more}{rest}" if first in sub.output else reference
