"""A plan as people see it before anything is spent: a table, a Mermaid chart, what it will cost, a workflow file."""

from collections.abc import Mapping

from firstline.config.catalogue.catalogue import Catalogue
from firstline.config.catalogue.yaml_text import as_yaml
from firstline.config.drafts.draft import RESERVED, slug
from firstline.schemas.base import Frozen
from firstline.schemas.plan import Plan, PlannedStep, Step, StepKind, Workflow
from firstline.schemas.tier import Profile
from firstline.workers.estimates.forecast import Load, StepForecast, forecast, rungs
from firstline.workers.rules.policy import orchestrator_tier

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
    #: Dollars spent on the planning itself.
    spent_usd: float = 0.0
    mermaid: str


def plan_view(plan: Plan, profile: Profile, load: Load, *, tiers: tuple[str, ...] = ()) -> PlanView:
    """Return a plan with its estimated calls and dollars for so many items."""
    shown = [planned for planned in plan.steps if RESERVED not in planned.step.name]
    ladder = [rung for rung in rungs(profile) if not tiers or rung.name in tiers]
    parts = forecast(
        [planned.step for planned in shown],
        skills=plan.skills,
        tiers=ladder,
        load=load,
        orchestrator=orchestrator_tier(profile, tuple(rung.name for rung in ladder)),
    )
    lines = tuple(_line(planned, part) for planned, part in zip(shown, parts, strict=True))
    costs = [line.cost_usd for line in lines]
    return PlanView(
        name=plan.workflow,
        items=load.items,
        steps=lines,
        cost_usd=None if None in costs else sum(cost for cost in costs if cost is not None),
        mermaid=mermaid(shown, load.items),
    )


def _line(planned: PlannedStep, part: StepForecast) -> PlanLine:
    step = planned.step
    return PlanLine(
        step=step.name,
        kind=step.kind.value,
        does=step.skill or step.tool or "",
        tier=planned.start_tier,
        after=step.after,
        when=step.when,
        calls=part.calls,
        cost_usd=part.cost_usd,
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
