"""A plan as people see it before anything is spent: a table, a Mermaid chart, what it will cost, a workflow file."""

import math
from collections.abc import Mapping

from firstline.config.catalogue.catalogue import Catalogue
from firstline.config.catalogue.yaml_text import as_yaml
from firstline.config.drafts.draft import RESERVED, slug
from firstline.orchestrator.plans.low_rungs import passed_by
from firstline.schemas.base import Frozen
from firstline.schemas.estimate import Estimate, StepEstimate
from firstline.schemas.plan import Plan, PlannedStep, Step, StepKind, Workflow
from firstline.schemas.tier import Profile

#: (before, after) of a node's text in Mermaid; the shape says what kind of step it is.
_SHAPES = {
    StepKind.ROUTE: ("{{", "}}"),
    StepKind.CHECKPOINT: ("{", "}"),
    StepKind.SYNTHESIZE: ("[[", "]]"),
    StepKind.PLAN: ("[/", "/]"),
    StepKind.ADAPT: ("{", "}"),
}
_BOX = ("[", "]")


class PlanLine(Frozen):
    """One step of a plan."""

    step: str
    kind: str
    #: Name of the skill or tool.
    does: str
    tier: str
    after: tuple[str, ...] = ()
    when: str | None = None
    #: Estimates; dollars are None where a price is unknown.
    calls: int
    cost_usd: float | None
    why: str = ""


class PlanView(Frozen):
    """A plan with what it will take, roughly."""

    name: str
    job: str | None = None
    state: str | None = None
    reason: str | None = None
    goal: str | None = None
    items: int
    steps: tuple[PlanLine, ...]
    cost_usd: float | None
    #: Ends of its interval, the same on the top tier alone, and whether it is above that.
    low_usd: float | None = None
    high_usd: float | None = None
    frontier_usd: float | None = None
    above_top: bool = False
    #: Dollars spent on the planning itself.
    spent_usd: float = 0.0
    #: Which rungs below chat models will answer nothing, and why.
    passed_by: tuple[str, ...] = ()
    mermaid: str


def plan_view(plan: Plan, estimate: Estimate, profile: Profile) -> PlanView:
    """Return a plan with what it is expected to take."""
    shown = [planned for planned in plan.steps if RESERVED not in planned.step.name]
    parts = {part.step: part for part in estimate.steps}
    return PlanView(
        name=plan.workflow,
        items=estimate.items,
        steps=tuple(_line(planned, parts.get(planned.step.name), estimate.items) for planned in shown),
        cost_usd=estimate.cost_usd,
        low_usd=estimate.low_usd,
        high_usd=estimate.high_usd,
        frontier_usd=estimate.frontier_usd,
        above_top=estimate.above_top,
        passed_by=tuple(passed_by(plan, profile)),
        mermaid=mermaid(shown, estimate.items),
    )


def _line(planned: PlannedStep, part: StepEstimate | None, items: int) -> PlanLine:
    """Return a step's line; one that a tool answers has no part in an estimate, and costs nothing."""
    step = planned.step
    return PlanLine(
        step=step.name,
        kind=step.kind.value,
        does=step.skill or step.tool or "",
        tier=part.tier if part else planned.start_tier,
        after=step.after,
        when=step.when,
        calls=math.ceil(part.calls) if part else 1 if step.is_barrier else items,
        cost_usd=part.cost_usd if part else 0.0,
        why=step.why,
    )


def mermaid(steps: list[PlannedStep], items: int) -> str:
    """Return a plan as a Mermaid flowchart; thick arrows lead into steps that see all items at once."""
    names = {planned.step.name for planned in steps}
    lines = ["flowchart TD", f'  items(["{items:,} items"])']
    lines += [f"  {_node(planned)}" for planned in steps]
    for planned in steps:
        arrow = "==>" if planned.step.is_barrier else "-->"
        label = f'|"{_plain(planned.step.when)}"|' if planned.step.when else ""
        before = [name for name in planned.step.after if name in names] or ["items"]
        lines += [f"  {name} {arrow}{label} {planned.step.name}" for name in before]
    return "\n".join(lines)


def _node(planned: PlannedStep) -> str:
    step = planned.step
    opened, closed = _SHAPES.get(step.kind, _BOX)
    text = "<br/>".join([step.name, f"{step.kind.value} {step.skill or step.tool or ''}".strip(), planned.start_tier])
    return f'{step.name}{opened}"{_plain(text)}"{closed}'


def _plain(text: str) -> str:
    return text.replace('"', "'")


def as_workflow(plan: Plan, *, goal: str | None, name: str, catalogue: Catalogue) -> Workflow:
    """Return a plan as a workflow that can be declared: what the engine added is left out, own skills are in it."""
    steps = tuple(_declared(planned.step) for planned in plan.steps if RESERVED not in planned.step.name)
    used = {step.skill for step in steps if step.skill}
    own = tuple(plan.skills[skill] for skill in sorted(used) if not _is_known(plan, skill, catalogue))
    tools = {tool for tool in plan.tools if tool not in catalogue.tools and tool in {step.tool for step in steps}}
    return Workflow(
        name=slug(name),
        description=(goal or "")[:500],
        steps=steps,
        output=plan.output,
        quality=plan.quality,
        skills=own,
        tools=tuple(plan.tools[tool] for tool in sorted(tools) if plan.tools[tool].options),
        adapt=plan.adapt,
    )


def _declared(step: Step) -> Step:
    options = {name: value for name, value in step.options.items() if name not in ("level", "parts", "groups")}
    after = tuple(name for name in step.after if RESERVED not in name)
    return step.evolve(options=options, after=after)


def _is_known(plan: Plan, skill: str, catalogue: Catalogue) -> bool:
    known: Mapping[str, str] = {one.name: one.digest for one in catalogue.skills}
    return known.get(skill) == plan.skills[skill].digest


def as_file(workflow: Workflow) -> str:
    """Return a workflow as the text of its file."""
    return as_yaml(workflow) + "\n"
