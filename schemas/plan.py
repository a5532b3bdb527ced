"""A workflow as declared, and the plan of one job: the graph of steps with everything resolved."""

import re
from collections.abc import Sequence
from enum import StrEnum
from functools import cached_property
from typing import Literal
from zlib import crc32

from pydantic import Field, field_validator

from firstline.schemas.base import Frozen, Json
from firstline.schemas.policy import Demand, Policy, Threshold
from firstline.schemas.secret_names import refuse_written
from firstline.schemas.skill import Skill
from firstline.schemas.tool import ToolSpec

#: Stands in the references of a step over a list for the element that it is asked about.
EACH = "each"
#: `write__each3` is step `write` about the fourth element of its list.
_ELEMENT = re.compile(r"(?P<step>.+)__each(?P<number>\d+)")
#: The tier of what was gathered from a list's elements: nobody was asked.
GATHERED = ""
#: Elements that a step takes at most, however high its own bound is set.
MOST_ELEMENTS = 500

Reference = str  # `item.text`, `classify.intent`, `items` (all items' outputs), or a literal after `=`


def step_of(name: str) -> str:
    """Return the step that a subtask belongs to: that of its list for one about an element, else what it is called."""
    found = _ELEMENT.fullmatch(name)
    return found["step"] if found else name


def subtask_label(name: str) -> str:
    """Return a subtask's name for people: `write[3]` for one about an element."""
    return _ELEMENT.sub(r"\g<step>[\g<number>]", name)


class StepKind(StrEnum):
    """What a step does."""

    SKILL = "skill"
    TOOL = "tool"
    #: A skill whose answer chooses the branch by the later steps' `when`.
    ROUTE = "route"
    #: A strong model reviews what has accumulated: proceed, correct or restart a step.
    CHECKPOINT = "checkpoint"
    #: The planner model opens a sub-plan.
    PLAN = "plan"
    #: One answer from all items (as a tree when they outgrow a context window).
    SYNTHESIZE = "synthesize"
    #: The orchestrator model looks at what has come out so far and may change what follows; made by the engine.
    ADAPT = "adapt"

    @property
    def is_barrier(self) -> bool:
        """Whether it sees the whole job, so that items wait for one another there."""
        return self in (StepKind.CHECKPOINT, StepKind.SYNTHESIZE, StepKind.PLAN, StepKind.ADAPT)

    @property
    def steers(self) -> bool:
        """Whether its answer steers the job, and is no result of it."""
        return self in (StepKind.CHECKPOINT, StepKind.PLAN, StepKind.ADAPT)

    @property
    def is_optional(self) -> bool:
        """Whether a job can do without it: where nobody could answer, it goes on as it is."""
        return self in (StepKind.CHECKPOINT, StepKind.ADAPT)

    @property
    def names_a_skill(self) -> bool:
        """Whether it has to name a skill."""
        return self in (StepKind.SKILL, StepKind.ROUTE, StepKind.SYNTHESIZE)


class Step(Frozen):
    """One node of a plan."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    kind: StepKind = StepKind.SKILL
    #: Name of a skill (kinds skill, route, checkpoint, synthesize).
    skill: str | None = None
    tool: str | None = None
    #: Input field or tool argument -> reference; item fields of the same name when missing.
    inputs: dict[str, Reference] = Field(default_factory=dict)
    after: tuple[str, ...] = ()
    #: A list (a reference): the step is asked about each element, `each` in its inputs, and its answer is the list of
    #: theirs in order. An item whose list has more elements than `at_most` fails, as one does whose element fails.
    for_each: Reference | None = None
    at_most: int = Field(default=50, ge=1, le=MOST_ELEMENTS)
    #: A simpleeval condition over `item` and earlier steps; the step is skipped where it is false.
    when: str | None = None
    #: `item`: once per item; `job`: once, at a barrier.
    scope: Literal["item", "job"] = "item"
    reasoning: Demand | None = None
    policy: Policy | None = None
    #: Checkpoints: share of items shown, step reviewed, rounds of restarts allowed; and after how many answers each the
    #: reviewer also looks while the step goes on (None: only when all are there).
    sample: float = Field(default=1.0, gt=0, le=1)
    reviews: str | None = None
    rounds: int = Field(default=1, ge=0, le=5)
    every: int | None = Field(default=None, ge=2)
    options: dict[str, Json] = Field(default_factory=dict)
    why: str = ""

    @field_validator("options")
    @classmethod
    def _hold_no_secret(cls, options: dict[str, Json]) -> dict[str, Json]:
        # A goal is words, and may speak of anything.
        refuse_written({name: value for name, value in options.items() if name != "goal"})
        return options

    @property
    def is_barrier(self) -> bool:
        """Whether it is one subtask of the whole job, not one an item."""
        return self.kind.is_barrier or self.scope == "job"

    def element(self, number: int) -> "Step":
        """Return the step about one element of its list."""
        place = f"{self.for_each}.{number}"
        inputs = {
            name: place + reference[len(EACH) :] if reference == EACH or reference.startswith(f"{EACH}.") else reference
            for name, reference in self.inputs.items()
        }
        return self.evolve(name=f"{self.name}__each{number}", inputs=inputs, for_each=None, when=None)


class Quality(Frozen):
    """How a job's outputs are scored against ground truth that its items carry."""

    #: Item field with the truth.
    gold: str
    #: Dotted path into the output; the whole output when missing.
    field: str | None = None
    #: `exact`, `number` (last number in a text), `set_f1`, or a function by path: (output, gold) -> 0..1.
    compare: str = "exact"
    #: How the truth's numbers are written (`de`, `en_US`); told by their marks when missing.
    locale: str | None = Field(default=None, max_length=20)


class Workflow(Frozen):
    """A declared job shape."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    description: str = ""
    version: int = Field(default=1, ge=1)
    steps: tuple[Step, ...] = Field(min_length=1, max_length=100)
    #: What an item's result is: a step's name, or output field -> reference; the last per-item step when missing.
    output: str | dict[str, Reference] | None = None
    quality: Quality | None = None
    #: Skills and tools declared in the workflow itself.
    skills: tuple[Skill, ...] = ()
    tools: tuple[ToolSpec, ...] = ()
    #: Let the orchestrator model look at each segment's outcome and amend the plan.
    adapt: bool = False


#: Stands for the items of a step in general, of which none explores.
EVERY = -2


class Route(Frozen):
    """How measured costs bend a step's way up the ladder, for all items but a small share that goes on trying."""

    #: Tiers that new subtasks do not start on, that what climbs passes by, and on which no second try is made.
    not_started: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    once: tuple[str, ...] = ()
    #: The tier of the student that answers first what it is sure of.
    student: str | None = None
    #: Share of the items that go the declared way all the same, so that a tier comes back when it pays again.
    explored: float = 0.03


class PlannedStep(Frozen):
    """A step with what the engine resolved: its segment, its tier to start on, its threshold."""

    step: Step
    segment: int
    start_tier: str
    #: The step's own, laid over its skill's.
    policy: Policy = Policy()
    #: Tier -> model -> threshold; a tier without any accepts what passes its checks.
    thresholds: dict[str, dict[str, Threshold]] = Field(default_factory=dict)
    route: Route = Route()

    def element(self, number: int) -> "PlannedStep":
        """Return the step about one element of its list; made once."""
        if number not in self._elements:
            self._elements[number] = self.evolve(step=self.step.element(number))
        return self._elements[number]

    @cached_property
    def _elements(self) -> "dict[int, PlannedStep]":
        return {}

    def start_of(self, item: int, ladder: Sequence[str]) -> str:
        """Return the tier that an item starts on: the student's, the declared one, or the first above it that pays."""
        return self.route.student if self.route.student and item != EVERY else self.first_on(item, ladder)

    def first_on(self, item: int, ladder: Sequence[str]) -> str:
        """Return the tier of the ladder that an item starts on when no student answers it."""
        if not self.route.not_started or self.start_tier not in ladder or self._explores("start", item):
            return self.start_tier
        ahead = ladder[ladder.index(self.start_tier) :]
        fit = (tier for tier in ahead if tier not in self.route.not_started and self.may_accept(tier))
        return next(fit, ahead[-1])

    def ladder_of(self, item: int, ladder: tuple[str, ...]) -> tuple[str, ...]:
        """Return the tiers that an item may climb to, those that could accept; the top one is always among them."""
        skipped = () if self._explores("climb", item) else self.route.skipped
        fit = (tier for tier in ladder[:-1] if tier not in skipped and self.may_accept(tier))
        return (*fit, ladder[-1])

    def attempts_on(self, tier: str, item: int) -> int:
        """Return the attempts that an item has on a tier."""
        once = tier in self.route.once and not self._explores("again", item)
        return 1 if once else self.policy.attempts_per_tier

    def _explores(self, what: str, item: int) -> bool:
        return item != EVERY and crc32(f"{what}:{self.step.name}:{item}".encode()) / 2**32 < self.route.explored

    def threshold(self, tier: str, model: str) -> Threshold | None:
        """Return from which confidence a model's answers are accepted on a tier; None: no confidence counts."""
        return self.thresholds.get(tier, {}).get(model)

    def may_accept(self, tier: str, model: str | None = None) -> bool:
        """Whether an answer of a model (None: of any) may be accepted on a tier: asking is a waste where none may."""
        known = self.thresholds.get(tier)
        if not known:
            return True
        return any(one.value is not None for name, one in known.items() if model in (None, name))


class Plan(Frozen):
    """The graph of steps of one job, with every skill and tool that it uses."""

    workflow: str
    steps: tuple[PlannedStep, ...]
    skills: dict[str, Skill] = Field(default_factory=dict)
    tools: dict[str, ToolSpec] = Field(default_factory=dict)
    output: str | dict[str, Reference]
    quality: Quality | None = None
    adapt: bool = False
    #: Names of the tools that a planner model may choose by itself.
    offered: tuple[str, ...] = ()
    #: How the orchestrator model is asked about a subtask that nobody could answer; None: no policy refers.
    refer: PlannedStep | None = None

    @property
    def segments(self) -> int:
        """How many segments barriers cut the plan into."""
        return 1 + max(planned.segment for planned in self.steps)

    def segment(self, number: int) -> tuple[PlannedStep, ...]:
        """Return the steps of one segment, in an order that respects their dependencies."""
        return self.by_segment.get(number, ())

    @cached_property
    def by_segment(self) -> dict[int, tuple[PlannedStep, ...]]:
        """The steps by segment; asked for with every item."""
        numbers = dict.fromkeys(planned.segment for planned in self.steps)
        return {n: tuple(planned for planned in self.steps if planned.segment == n) for n in numbers}

    def step(self, name: str) -> PlannedStep:
        """Return the step of that name, or one about an element of its list; KeyError when there is none."""
        return named(self.steps, name)


def named(steps: Sequence[PlannedStep], name: str) -> PlannedStep:
    """Return a subtask's step by its name, one about an element of a list among them; KeyError when there is none."""
    for planned in steps:
        if planned.step.name == name:
            return planned
    found = _ELEMENT.fullmatch(name)
    if found is None:
        raise KeyError(name)
    return named(steps, found["step"]).element(int(found["number"]))
