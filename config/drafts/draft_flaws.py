"""What is wrong with a plan that a planner model wrote, in sentences that help it to mend it."""

from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter

from firstline.config.catalogue.references import ITEM, ITEMS, dependencies, target
from firstline.config.catalogue.skill_flaws import skill_flaws
from firstline.config.catalogue.workflow_flaws import Names, workflow_flaws
from firstline.config.drafts.draft import RESERVED, Draft, KnownStep, OfferedSkill, PlannerInput, tidy
from firstline.config.errors.error_messages import Flaw, Location, listed, suggestion
from firstline.config.errors.model_errors import model_flaws
from firstline.schemas.base import Json
from firstline.schemas.plan import Step, StepKind, Workflow
from firstline.schemas.skill import InputField, Skill

#: More would confuse a model more than it helps.
MOST = 12
_MOST_STEPS_READ = 200


def draft_flaws(value: Json, given: PlannerInput) -> tuple[Draft | None, tuple[str, ...]]:
    """Return the plan in an answer, if it has the form of one, and what is wrong with it, the first dozen faults."""
    data = tidy(value)
    steps = data.get("steps")
    if isinstance(steps, list) and len(steps) > max(given.limits.steps, _MOST_STEPS_READ):
        return None, (_too_many(len(steps), given),)
    draft, flaws = model_flaws(Draft, data)
    if draft is None:
        return None, _told(flaws)
    return draft, _told(_Checker(draft, given).flaws())


def _told(flaws: Iterator[Flaw] | tuple[Flaw, ...]) -> tuple[str, ...]:
    texts = [f"{flaw.where}: {flaw.text}" if flaw.where else flaw.text for flaw in flaws]
    return tuple(dict.fromkeys(texts))[:MOST]


def _too_many(count: int, given: PlannerInput) -> str:
    return f"expected at most {given.limits.steps} steps, got {count:,}; a step runs once for each item by itself"


class _Checker:
    def __init__(self, draft: Draft, given: PlannerInput) -> None:
        self.draft = draft
        self.given = given
        self.own = {skill.name: skill.skill for skill in draft.skills}
        self.offered = {skill.name: offered_skill(skill) for skill in given.skills}
        self.skills: Mapping[str, Skill] = {**self.offered, **self.own}
        self.known = {step.name for step in given.done}

    def flaws(self) -> Iterator[Flaw]:
        if self.draft.impossible and not self.draft.steps:
            return
        if not self.draft.steps:
            yield Flaw(("steps",), "a plan has at least one step; if the goal cannot be reached, say why: `impossible`")
            return
        if len(self.draft.steps) > self.given.limits.steps:
            yield Flaw(("steps",), _too_many(len(self.draft.steps), self.given))
            return
        yield from self._skills()
        yield from workflow_flaws(self._workflow(), Names(self._all_skills(), self._no_skill, self._no_tool))
        for number, step in enumerate(self.draft.steps):
            yield from self._step(step, ("steps", number))
        yield from self._depth()

    def _workflow(self) -> Workflow:
        """Return the plan with the steps that are done behind it: what it refers to is there, places stay the same."""
        done = tuple(Step(name=step.name, skill=_stand_in(step), scope=_scope(step)) for step in self.given.done)
        return Workflow(name="plan", steps=(*self.draft.steps, *done), output=self.draft.output)

    def _all_skills(self) -> dict[str, Skill]:
        stand_ins = {_stand_in(step): _of_known(step) for step in self.given.done}
        return {**self.skills, **stand_ins}

    def _no_skill(self, name: str) -> str | None:
        if name in self.skills or name in {_stand_in(step) for step in self.given.done}:
            return None
        hint = suggestion(name, self.skills) or f"; there are {listed(self.skills, most=40)}"
        return f"no skill is called '{name}'{hint}; or write it under `skills`"

    def _no_tool(self, name: str) -> str | None:
        tools = [tool.name for tool in self.given.tools]
        if name in tools:
            return None
        return f"no tool is called '{name}'{suggestion(name, tools) or f'; there are {listed(tools)}'}"

    def _skills(self) -> Iterator[Flaw]:
        names = [skill.name for skill in self.draft.skills]
        used = {step.skill for step in self.draft.steps}
        for number, skill in enumerate(self.own.values()):
            if names.count(skill.name) > 1:
                yield Flaw(("skills", number, "name"), f"two skills are called '{skill.name}'; rename one")
            if skill.name not in used:
                yield Flaw(("skills", number), f"no step uses the skill '{skill.name}'; leave it out")
            for flaw in skill_flaws(skill, tools=self._no_tool):
                yield Flaw(("skills", number, *flaw.at), flaw.text)

    def _step(self, step: Step, at: Location) -> Iterator[Flaw]:
        if RESERVED in step.name or step.name in self.known:
            why = "is taken by a step that is done" if step.name in self.known else f"holds `{RESERVED}`"
            yield Flaw((*at, "name"), f"'{step.name}' {why}; choose another name")
        if step.kind is StepKind.ADAPT:
            yield Flaw((*at, "kind"), "only the engine adds steps of kind `adapt`; leave it out")
        if step.kind is StepKind.CHECKPOINT and step.reviews is None:
            yield Flaw((*at, "reviews"), "a checkpoint names the step that it reviews: `reviews`")
        if step.kind is StepKind.PLAN:
            yield from self._sub_plan(step, at)
        yield from self._options(step, at)
        if step.policy is not None:
            yield Flaw((*at, "policy"), "a plan sets no policies; leave it out")
        yield from self._inputs(step, at)

    def _sub_plan(self, step: Step, at: Location) -> Iterator[Flaw]:
        if self.given.limits.levels < 1:
            yield Flaw((*at, "kind"), "sub-plans may not be nested any deeper; write the steps here")
        goal = step.options.get("goal")
        if not isinstance(goal, str) or not goal.strip():
            yield Flaw((*at, "options"), "a step of kind `plan` says what its sub-plan is for: `options: {goal: ...}`")

    def _options(self, step: Step, at: Location) -> Iterator[Flaw]:
        """Options say what a tool may reach and how the engine works: who declares them sets them, never a model."""
        allowed = {"goal"} if step.kind is StepKind.PLAN else set()
        if not (wrong := sorted(set(step.options) - allowed)):
            return
        if step.kind is StepKind.TOOL:
            text = "a tool's options are set by who declares it; give its arguments as `inputs`"
        elif allowed:
            text = "a step of kind `plan` has the option `goal` alone; leave the others out"
        else:
            text = f"a plan sets no options for a step of kind `{step.kind}`; leave them out"
        yield Flaw((*at, "options", wrong[0]), text)

    def _inputs(self, step: Step, at: Location) -> Iterator[Flaw]:
        whole = step.is_barrier
        listed = target(step.for_each) if step.for_each else None
        if listed is not None and listed.name == ITEM and listed.field:
            yield from self._item_field(listed.field.split(".")[0], (*at, "for_each"))
        for field, reference in step.inputs.items():
            pointed = target(reference)
            if pointed is None:
                continue
            if whole and pointed.name == ITEM:
                yield Flaw((*at, "inputs", field), f"step '{step.name}' is for all items at once and has no `item`")
            if not whole and pointed.name == ITEMS:
                yield Flaw((*at, "inputs", field), f"step '{step.name}' is for one item and cannot see all `items`")
            if whole and pointed.field and self._is_per_item(pointed.name):
                text = f"`{pointed.name}` is a list here, [{{id, value}}, ...]; write `{field}: {pointed.name}`"
                yield Flaw((*at, "inputs", field), text)
            if pointed.name == ITEM and pointed.field:
                yield from self._item_field(pointed.field.split(".")[0], (*at, "inputs", field))
        skill = self.skills.get(step.skill or "")
        if skill is None or step.kind in (StepKind.CHECKPOINT, StepKind.PLAN):
            return
        for field, spec in skill.input.items():
            if spec.required and field not in step.inputs and (whole or field not in self.given.items.fields):
                text = f"skill '{skill.name}' needs '{field}'; add `{field}: REFERENCE`"
                yield Flaw((*at, "inputs"), text)

    def _is_per_item(self, name: str) -> bool:
        step = next((step for step in self._workflow().steps if step.name == name), None)
        return step is not None and not step.is_barrier

    def _item_field(self, name: str, at: Location) -> Iterator[Flaw]:
        fields = self.given.items.fields
        if fields and name not in fields:
            yield Flaw(at, f"items have no field '{name}'{suggestion(name, fields) or f'; they have {listed(fields)}'}")

    def _depth(self) -> Iterator[Flaw]:
        steps = {step.name: step for step in self.draft.steps}
        try:
            deepest = _longest_chain(steps)
        except (CycleError, SyntaxError, ValueError, RecursionError):
            return  # said already, at its place
        if deepest > self.given.limits.depth:
            text = f"expected chains of at most {self.given.limits.depth} steps, got one of {deepest}"
            yield Flaw(("steps",), f"{text}; join steps that one skill can do")


def _longest_chain(steps: Mapping[str, Step]) -> int:
    before = {name: [other for other in dependencies(step) if other in steps] for name, step in steps.items()}
    lengths: dict[str, int] = {}
    for name in TopologicalSorter(before).static_order():
        lengths[name] = 1 + max((lengths[other] for other in before[name]), default=0)
    return max(lengths.values(), default=0)


@cache
def _nothing() -> dict[str, InputField]:
    return {"input": InputField(required=False)}


def offered_skill(offered: OfferedSkill) -> Skill:
    """Return as much of a skill as its offer tells."""
    fields = {
        name: InputField(description=text, required=not text.startswith("(optional)"))
        for name, text in offered.input.items()
    }
    return Skill.model_construct(
        name=offered.name,
        instructions="-",
        input=fields or _nothing(),
        output=offered.output,
        reasoning=offered.reasoning,
    )


def _stand_in(step: KnownStep) -> str:
    return f"answer-of-{step.name}"


def _of_known(step: KnownStep) -> Skill:
    return Skill.model_construct(name=_stand_in(step), instructions="-", input=_nothing(), output=step.output)


def _scope(step: KnownStep) -> str:
    return "job" if step.scope == "job" else "item"
