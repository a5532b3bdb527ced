"""A plan as a planner model writes it: how it is asked for, what it may choose from and answers, what that becomes."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from firstline.schemas.base import Frozen, Json, JsonObject
from firstline.schemas.check import Expression, python_expression
from firstline.schemas.errors import UserError
from firstline.schemas.plan import Plan, Reference, Step, StepKind, Workflow
from firstline.schemas.policy import Demand, Signal
from firstline.schemas.skill import Example, InputField, Skill

#: From these sums on; the most is 8.
_MEDIUM, _HIGH = 3, 6


class Rubric(Frozen):
    """Four questions about a task, each answered 0, 1 or 2."""

    #: 0: the answer stands in the input; 1: one step leads to it; 2: several that build on each other.
    inference: int = Field(ge=0, le=2)
    #: Knowledge beyond the input. 0: none; 1: general; 2: an expert's.
    knowledge: int = Field(ge=0, le=2)
    #: 0: one answer is right; 1: a choice by clear criteria; 2: weighing without clear criteria.
    judgement: int = Field(ge=0, le=2)
    #: What must be held together at once. 0: a few sentences; 1: pages; 2: several documents.
    span: int = Field(ge=0, le=2)

    @property
    def demand(self) -> Demand:
        """The reasoning demand: by the sum, and high for long chains of open judgement whatever the rest."""
        total = self.inference + self.knowledge + self.judgement + self.span
        if total >= _HIGH or (self.inference == 2 and self.judgement == 2):
            return Demand.HIGH
        return Demand.MEDIUM if total >= _MEDIUM else Demand.LOW


#: Steps that the engine adds to a plan have this in their names; nobody else's may.
RESERVED = "__"
#: Name of the step that plans a goal.
PLANNING = "plan__0"
#: Longer goals hold material, which belongs into items.
MAX_GOAL_CHARS = 20_000


class OfferedSkill(Frozen):
    """A skill that a plan may use."""

    name: str
    description: str = ""
    reasoning: Demand = Demand.LOW
    #: Input field -> description; a field that need not be given has `(optional)` in front.
    input: dict[str, str] = Field(default_factory=dict)
    output: JsonObject = Field(default_factory=dict)


class OfferedTool(Frozen):
    """A tool that a plan may use."""

    name: str
    description: str = ""


class OfferedTier(Frozen):
    """A rung of the ladder; dollars per million tokens, None where unknown."""

    name: str
    model: str
    input_usd: float | None = None
    output_usd: float | None = None


class KnownStep(Frozen):
    """A step that has been done already, which a plan may refer to."""

    name: str
    #: `item`: an answer for each item; `job`: one for all.
    scope: str = "item"
    output: JsonObject = Field(default_factory=dict)
    settled: int = 0
    failed: int = 0


class ItemsView(Frozen):
    """What the items are like."""

    count: int = 0
    mean_chars: int = 0
    #: Names of the fields that items have.
    fields: tuple[str, ...] = ()
    sample: tuple[JsonObject, ...] = ()


class PlanLimits(Frozen):
    """Bounds of a plan."""

    steps: int = 20
    #: Steps on the longest chain.
    depth: int = 10
    #: Levels of sub-plans that may still be opened below this one.
    levels: int = 1
    #: Dollars that are left; None: no budget.
    budget_usd: float | None = None


class PlannerInput(Frozen):
    """All that a planner is given: the input fields of the skills `planner` and `adapt`, by name."""

    goal: str
    skills: tuple[OfferedSkill, ...] = ()
    tools: tuple[OfferedTool, ...] = ()
    tiers: tuple[OfferedTier, ...] = ()
    items: ItemsView = ItemsView()
    done: tuple[KnownStep, ...] = ()
    limits: PlanLimits = PlanLimits()

    @classmethod
    def of(cls, inputs: JsonObject) -> "PlannerInput":
        """Return what a subtask's inputs give; fields that a prompt has besides are left out."""
        return cls.model_validate({name: inputs[name] for name in cls.model_fields if name in inputs})


class DraftCheck(Frozen):
    """A check that the planner writes: an expression, which can reach nothing but the answer and the inputs."""

    expression: Annotated[str, AfterValidator(python_expression)] = Field(min_length=1, max_length=500)
    hint: str | None = None


class DraftSkill(Frozen):
    """A skill that the planner writes for one plan."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    description: str = ""
    instructions: str = Field(min_length=1)
    #: Input field -> description.
    input: dict[str, str] = Field(min_length=1)
    output: JsonObject
    examples: tuple[Example, ...] = ()
    checks: tuple[DraftCheck, ...] = ()
    demand: Rubric

    @property
    def skill(self) -> Skill:
        """The skill itself: its reasoning demand scored by the rubric, its signals chosen by its answers' form."""
        margin = (Signal(kind="margin"),) if _has_labels(self.output) else (Signal(kind="mean_logprob"),)
        return Skill(
            name=self.name,
            description=self.description,
            instructions=self.instructions,
            input={name: InputField(description=text) for name, text in self.input.items()},
            output=self.output,
            examples=self.examples,
            checks=tuple(
                Expression(kind="expression", expression=one.expression, hint=one.hint) for one in self.checks
            ),
            reasoning=self.demand.demand,
            # Free where the model gives log-probabilities, else by what further answers say.
            confidence=(*margin, Signal(kind="agreement")),
        )


def _has_labels(schema: Json) -> bool:
    """Whether answers of a schema have an enum somewhere, between whose labels a margin is."""
    match schema:
        case dict():
            return "enum" in schema or any(map(_has_labels, schema.values()))
        case list():
            return any(map(_has_labels, schema))
        case _:
            return False


class Draft(Frozen):
    """A plan as it is answered."""

    #: What the plan does and why so, in a sentence or two.
    summary: str = ""
    #: Why no plan can reach the goal; then there are no steps.
    impossible: str | None = None
    skills: tuple[DraftSkill, ...] = ()
    steps: tuple[Step, ...] = ()
    output: str | dict[str, Reference] | None = None

    @classmethod
    def of(cls, value: Json) -> "Draft":
        """Return the draft in an answer that has passed its checks; what an adaption decides besides is left out."""
        return cls.model_validate(tidy(value))

    def workflow(self, name: str) -> Workflow:
        """Return the plan as a workflow that can be saved and compiled."""
        skills = tuple(draft.skill for draft in self.skills)
        return Workflow(name=slug(name), description=self.summary, steps=self.steps, output=self.output, skills=skills)


def planning_workflow(goal: str | None) -> Workflow:
    """Return the workflow that plans a goal; UserError where there is none, or it is empty or too long."""
    if goal is None:
        raise UserError("a job needs a workflow (a name or steps) or a goal in plain words; the request has neither")
    if not goal.strip():
        raise UserError("expected a goal in plain words, got an empty one; say what is wanted of the items")
    if len(goal) > MAX_GOAL_CHARS:
        raise UserError(
            f"expected a goal of at most {MAX_GOAL_CHARS:,} characters, got {len(goal):,}; "
            "give long material as items (--input) and say in the goal what is to be done with it"
        )
    step = Step(name=PLANNING, kind=StepKind.PLAN, options={"goal": goal.strip()}, why="The goal says it.")
    return Workflow(name=slug(goal), description=goal.strip()[:200], steps=(step,))


def is_planning(plan: Plan) -> bool:
    """Whether a job's plan is still to be written."""
    return [planned.step.name for planned in plan.steps] == [PLANNING]


def tidy(value: Json) -> JsonObject:
    """Return an answer's part that is a draft; models write null for what they leave out."""
    given = value if isinstance(value, dict) else {}
    draft: JsonObject = {name: given[name] for name in Draft.model_fields if given.get(name) is not None}
    if isinstance(steps := draft.get("steps"), list):
        draft["steps"] = [_without_nulls(step) for step in steps]
    return draft


def _without_nulls(part: Any) -> Json:
    return {name: value for name, value in part.items() if value is not None} if isinstance(part, dict) else part


def slug(text: str, *, most: int = 40) -> str:
    """Return a text as a name: small letters, digits and dashes, beginning with a letter."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:most].strip("-")
    return words if words[:1].isalpha() else f"plan-{words}".strip("-")
