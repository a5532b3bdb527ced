"""A workflow becomes a plan: dependencies made explicit, segments cut at barriers, tiers and thresholds resolved."""

from collections.abc import Collection, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Protocol

from firstline.config.catalogue.references import ITEMS
from firstline.config.catalogue.tool_paths import relative_path
from firstline.orchestrator.plans.thresholds import Certificates, thresholds_of
from firstline.schemas.access import Role
from firstline.schemas.check import OneOf
from firstline.schemas.errors import UserError
from firstline.schemas.plan import Plan, PlannedStep, Step, StepKind, Workflow
from firstline.schemas.policy import LastResort
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Profile, TierKind
from firstline.schemas.tool import ToolSpec
from firstline.workers.rules.expressions import names_in
from firstline.workers.rules.policy import first_tier, orchestrator_tier, policy_of, start_tier

#: Built-in skills of steps that need not name one.
DEFAULT_SKILLS = {StepKind.CHECKPOINT: "checkpoint", StepKind.PLAN: "planner"}
#: Built-in skill that decides on subtasks which nobody could answer.
REFER = "refer"
#: Built-in skill that looks at what has come out and may change what follows.
ADAPT = "adapt"
#: Name of the tier on which tools answer where a profile names none.
TOOLS = "tools"


class Shelves(Protocol):
    """Where skills and tools are looked up: the catalogue, or what an earlier plan brought along."""

    @property
    def skills(self) -> Iterable[Skill]:
        """All skills."""
        ...

    @property
    def tools(self) -> Iterable[ToolSpec]:
        """All tools."""
        ...

    def skill(self, name: str, /) -> Skill:
        """Return a skill; UserError when there is none."""
        ...

    def tool(self, name: str, /) -> ToolSpec:
        """Return a tool; UserError when there is none."""
        ...


def compile_plan(
    workflow: Workflow,
    *,
    catalogue: Shelves,
    profile: Profile,
    tiers: tuple[str, ...],
    certificates: Certificates,
    done: Collection[str] = (),
    granted: Collection[str] = (),
) -> Plan:
    """Return the plan of a job; UserError for unknown names and cycles.

    `done` names steps of an earlier plan that this one may refer to, `granted` the catalogue's tools that a planner may
    choose by itself besides those of the workflow.
    """
    steps = _ordered(workflow, done)
    skills = _skills(workflow, steps, catalogue)
    ladder = ladder_of(profile, tiers)
    segments = _segments(steps)
    steps, skills = _with_labels(steps, skills)
    planned = tuple(
        _plan_step(step, segment=segments[step.name], skills=skills, ladder=ladder, profile=profile, known=certificates)
        for step in steps.values()
    )
    tools = {name: catalogue.tool(name) for name in _tool_names(steps, skills) if name not in _own_tools(workflow)}
    _refuse_relative_paths((*steps.values(), *workflow.tools, *tools.values()))
    refer = _refer(planned, orchestrator_tier(profile, ladder))
    if refer is not None:
        skills = {REFER: catalogue.skill(REFER), **skills}
    if workflow.adapt or any(step.kind is StepKind.PLAN for step in steps.values()):
        # Whoever plans later chooses among what there was when the job was submitted; of tools, what was granted.
        choosable = {*granted, *_own_tools(workflow)}
        known = (skill for skill in catalogue.skills if choosable.issuperset(skill.tools))
        offered = {skill.name: skill for skill in (*known, *workflow.skills)}
        engine = {name: catalogue.skill(name) for name in (ADAPT, REFER, *DEFAULT_SKILLS.values())}
        skills = {**offered, **engine, **skills}
        tools = {**{name: catalogue.tool(name) for name in granted}, **tools}
    return Plan(
        workflow=workflow.name,
        steps=planned,
        skills=skills,
        tools={**tools, **_own_tools(workflow)},
        offered=tuple(sorted({*granted, *_own_tools(workflow), *(one.tool for one in steps.values() if one.tool)})),
        output=workflow.output or _last_item_step(planned),
        quality=workflow.quality,
        adapt=workflow.adapt,
        refer=refer,
    )


def granted_tools(catalogue: Shelves, *, named: Iterable[str], tenant: str, role: Role) -> tuple[str, ...]:
    """Return the tools that planners may choose in a job: those granted to its submitter, and those named in it.

    UserError for one that is named and not granted; an administrator needs no grant for what is named.
    """
    granted = {tool.name for tool in catalogue.tools if tool.is_granted(tenant=tenant, role=role)}
    for name in named:
        if not catalogue.tool(name).is_granted(tenant=tenant, role=role) and not role.covers(Role.ADMIN):
            raise UserError(
                f"tool '{name}' is not granted to the role {role.value} of tenant '{tenant}'; its declaration names "
                "who may choose it, under `grants:`"
            )
    return tuple(sorted(granted | set(named)))


def _refuse_relative_paths(owners: Iterable[Step | ToolSpec]) -> None:
    """Raise a UserError for a path that would be seen from where a worker happens to run."""
    if reason := next(filter(None, map(relative_path, owners)), None):
        raise UserError(f"{reason}; or declare it in a file: paths there are seen from the file's folder")


def _with_labels(steps: Mapping[str, Step], skills: Mapping[str, Skill]) -> tuple[dict[str, Step], dict[str, Skill]]:
    """Return the steps and skills with routers held to the labels that their steps declare."""
    found, known = dict(steps), dict(skills)
    for name, step in steps.items():
        if step.kind is StepKind.ROUTE and step.skill and step.options.get("labels"):
            skill = _held_to_labels(step, skills[step.skill])
            found[name], known[skill.name] = step.evolve(skill=skill.name), skill
    return found, known


def _held_to_labels(step: Step, skill: Skill) -> Skill:
    """Return a router's skill held to the labels in its step's `options` (`labels`, and the `field` that has them)."""
    labels, field = step.options["labels"], step.options.get("field")
    if not isinstance(labels, list) or not labels:
        raise UserError(f"step '{step.name}': options.labels: expected a list of labels, got {labels!r}")
    held = OneOf(kind="one_of", field=str(field) if field else None, values=tuple(labels))
    return skill.evolve(name=f"{skill.name}-{step.name}", checks=(*skill.checks, held))


def _refer(planned: Iterable[PlannedStep], tier: str) -> PlannedStep | None:
    """Return how subtasks are referred, if any policy does."""
    if all(one.policy.last_resort is not LastResort.REFER for one in planned):
        return None
    return PlannedStep(step=Step(name="refer__", skill=REFER), segment=0, start_tier=tier)


def ladder_of(profile: Profile, tiers: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the tiers that models answer on, cheapest first, restricted to `tiers` if any are named."""
    names = tuple(tier.name for tier in (profile.rungs if tiers else profile.ladder))
    unknown = [name for name in tiers if name not in names]
    if unknown:
        raise UserError(f"profile '{profile.name}' has no tier '{unknown[0]}'; it has {', '.join(names)}")
    return tuple(name for name in names if not tiers or name in tiers)


def _ordered(workflow: Workflow, done: Collection[str]) -> dict[str, Step]:
    named = {step.name: step.evolve(**_defaults(step)) for step in workflow.steps}
    needs = {name: _needs(step, named, done) for name, step in named.items()}
    for name, step in named.items():
        if step.kind is StepKind.CHECKPOINT:
            _hold_back(name, step, named, needs)
    try:
        order = [name for name in TopologicalSorter(needs).static_order() if name in named]
    except CycleError as error:
        raise UserError(
            f"workflow '{workflow.name}': steps wait for each other: {' -> '.join(error.args[1])}"
        ) from error
    # Whatever a step refers to it also waits for: one list says it all from here on.
    return {name: named[name].evolve(after=tuple(sorted(needs[name]))) for name in order}


def _hold_back(name: str, checkpoint: Step, named: Mapping[str, Step], needs: Mapping[str, set[str]]) -> None:
    """Let what reads the answers that a checkpoint reviews wait for the review."""
    earlier: set[str] = set()
    ahead = [name]
    while ahead:
        found = needs.get(ahead.pop(), set()) - earlier
        earlier |= found
        ahead += found
    for other, step in named.items():
        if checkpoint.reviews in needs[other] and other not in earlier and step.kind is not StepKind.CHECKPOINT:
            needs[other].add(name)


def _defaults(step: Step) -> dict[str, str]:
    """Return what a step's kind says for it: barriers are of the whole job, some have a built-in skill."""
    skill = {"skill": DEFAULT_SKILLS[step.kind]} if step.skill is None and step.kind in DEFAULT_SKILLS else {}
    return {**skill, "scope": "job"} if step.kind.is_barrier else skill


def _needs(step: Step, named: Mapping[str, Step], done: Collection[str]) -> set[str]:
    referred = {reference.split(".")[0] for reference in step.inputs.values() if not reference.startswith("=")}
    referred |= names_in(step.when) if step.when else set()
    if step.for_each:
        referred.add(step.for_each.partition(".")[0])
    if step.reviews:
        referred.add(step.reviews)
    known = {*named, *done}
    waits = bool(step.after) or bool(referred & known)
    if step.scope == "job" and step.kind is not StepKind.PLAN and (ITEMS in referred or not waits):
        referred |= _per_item_before(step, named)
    unknown = [name for name in step.after if name not in known]
    if unknown:
        raise UserError(f"step '{step.name}': after: there is no step '{unknown[0]}'; there are {', '.join(named)}")
    return (referred & known | set(step.after)) - {step.name}


def _per_item_before(step: Step, named: Mapping[str, Step]) -> set[str]:
    """Return the per-item steps declared before a step of the whole job: those that it waits for where it says none."""
    before = list(named)[: list(named).index(step.name)]
    return {name for name in before if named[name].scope == "item"}


def _segments(steps: Mapping[str, Step]) -> dict[str, int]:
    """Return each step's segment: a barrier stands alone, after all that it waits for and before all that follows."""
    levels: dict[str, int] = {}
    for name, step in steps.items():
        wanted = 0
        for before in (name for name in step.after if name in steps):
            step_up = step.is_barrier or steps[before].is_barrier
            wanted = max(wanted, levels[before] + (1 if step_up else 0))
        while any(levels[other] == wanted and (step.is_barrier or steps[other].is_barrier) for other in levels):
            wanted += 1
        levels[name] = wanted
    numbers = {level: number for number, level in enumerate(sorted(set(levels.values())))}
    return {name: numbers[level] for name, level in levels.items()}


def _skills(workflow: Workflow, steps: Mapping[str, Step], catalogue: Shelves) -> dict[str, Skill]:
    own = {skill.name: skill for skill in workflow.skills}
    wanted = {step.skill for step in steps.values() if step.skill}
    return {name: own[name] if name in own else catalogue.skill(name) for name in sorted(wanted)}


def _own_tools(workflow: Workflow) -> dict[str, ToolSpec]:
    return {tool.name: tool for tool in workflow.tools}


def _tool_names(steps: Mapping[str, Step], skills: Mapping[str, Skill]) -> set[str]:
    offered = {tool for skill in skills.values() for tool in skill.tools}
    return offered | {step.tool for step in steps.values() if step.tool}


def _plan_step(
    step: Step,
    *,
    segment: int,
    skills: Mapping[str, Skill],
    ladder: tuple[str, ...],
    profile: Profile,
    known: Certificates,
) -> PlannedStep:
    if step.kind is StepKind.TOOL:
        return PlannedStep(
            step=step, segment=segment, start_tier=tools_tier(profile), policy=policy_of(step, skill=None)
        )
    if step.skill is None:
        raise UserError(f"step '{step.name}': a step of kind {step.kind.value} names a `skill`")
    skill = skills[step.skill]
    policy = policy_of(step, skill)
    tiers = [tier for tier in profile.rungs if tier.name in ladder[:-1]]
    planned = PlannedStep(
        step=step,
        segment=segment,
        start_tier=ladder[-1],
        policy=policy,
        thresholds=thresholds_of(skill, policy, tiers, known(skill)),
    )
    start = start_tier(step.reasoning or skill.reasoning, ladder, policy)
    if step.kind.is_barrier and policy.start is None:
        start = orchestrator_tier(profile, ladder)
    return planned.evolve(start_tier=first_tier(planned, ladder, start))


def tools_tier(profile: Profile) -> str:
    """Return the name of the profile's tier for tools."""
    return next((tier.name for tier in profile.tiers if tier.kind is TierKind.TOOLS), TOOLS)


def _last_item_step(planned: tuple[PlannedStep, ...]) -> str:
    item_steps = [one.step.name for one in planned if not one.step.is_barrier]
    return item_steps[-1] if item_steps else planned[-1].step.name
