"""A skill: a sub-agent's prompt as a versioned value."""

from functools import cached_property
from typing import Self

from pydantic import Field, PydanticUserError, TypeAdapter, field_validator, model_validator

from firstline.schemas.base import Frozen, Json, JsonObject, digest
from firstline.schemas.check import CheckSpec, FunctionPath
from firstline.schemas.comparator import Comparator, Judge
from firstline.schemas.policy import Demand, Policy, Signal
from firstline.schemas.secret_names import written_secrets


class InputField(Frozen):
    """One input that the prompt shows."""

    description: str = ""
    required: bool = True
    #: Longer texts are refused with a reason, not cut.
    max_chars: int = Field(default=200_000, gt=0)


class Example(Frozen):
    """One worked example: inputs by field name, and the answer."""

    input: JsonObject
    output: Json
    note: str | None = None


class Skill(Frozen):
    """A sub-agent: role and instructions, examples, input fields, output JSON Schema, checks, policy."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    version: int = Field(default=1, ge=1)
    description: str = ""
    #: The static part of the prompt: role, rules, output contract, edge cases.
    instructions: str = Field(min_length=1)
    input: dict[str, InputField] = Field(min_length=1)
    #: JSON Schema of the answer; `{type: string}` asks for plain text.
    output: JsonObject
    examples: tuple[Example, ...] = ()
    #: A function of the user's that puts right what takes no model, before the checks: (answer, item) -> answer.
    repair: FunctionPath | None = None
    checks: tuple[CheckSpec, ...] = ()
    reasoning: Demand = Demand.LOW
    #: In order: the first that has a value counts.
    confidence: tuple[Signal, ...] = ()
    policy: Policy = Policy()
    #: Tools the model may call while it answers, by name, and how many rounds of calls.
    tools: tuple[str, ...] = ()
    tool_rounds: int = Field(default=4, ge=1, le=20)
    #: Input field that holds a whole conversation in OpenAI's shape, which is asked as it came: it is the prompt.
    conversation: str | None = None
    #: Items answered in one call.
    pack: int = Field(default=1, ge=1, le=50)
    params: dict[str, Json] = Field(default_factory=dict)
    #: How two answers are told to be the same, by dotted field (empty: the whole answer, `*`: all that the schema
    #: leaves open); one word counts for `*`. What it does not say follows from the output's schema.
    compare: dict[str, Comparator] = Field(default_factory=dict)
    #: Who compares the fields that are compared by `judge`.
    judge: Judge = Judge()

    @field_validator("params")
    @classmethod
    def _hold_no_secret(cls, params: dict[str, Json]) -> dict[str, Json]:
        if (found := next(written_secrets(params), None)) is not None:
            raise ValueError(
                f"a secret is written down at '{found}'; a skill has none: name it in the `params` of a profile's "
                "model, as {env: NAME}"
            )
        return params

    @field_validator("compare", mode="before")
    @classmethod
    def _one_word(cls, said: object) -> object:
        return {"*": said} if isinstance(said, str) else said

    @field_validator("output", mode="before")
    @classmethod
    def _schema_of_a_class(cls, output: object) -> object:
        """Take a pydantic class, a TypedDict or a dataclass for its JSON Schema."""
        if not isinstance(output, type):
            return output
        try:
            return TypeAdapter(output).json_schema()
        except PydanticUserError as error:
            raise ValueError(f"{output.__name__} has no JSON Schema: {error.message}") from None

    @property
    def is_text(self) -> bool:
        """Whether the answer is plain text, not JSON."""
        return self.output.get("type") == "string" and not self.output.get("enum")

    @cached_property
    def digest(self) -> str:
        """16 hex digits over all that shapes an answer or says when two are the same: calibrations live with it."""
        defaults = {"compare": {}, "judge": Judge(), "repair": None, "conversation": None}
        unsaid = {name for name, value in defaults.items() if getattr(self, name) == value}
        return digest(self.model_dump(mode="json", exclude={"policy", "confidence", "description", *unsaid}))

    @model_validator(mode="after")
    def _examples_fit(self) -> Self:
        for number, example in enumerate(self.examples, 1):
            unknown = set(example.input) - set(self.input)
            if unknown:
                raise ValueError(
                    f"example {number} has input fields that the skill lacks: {', '.join(sorted(unknown))}"
                )
        if self.conversation is not None and (set(self.input) != {self.conversation} or self.examples or self.pack > 1):
            raise ValueError(
                f"a skill whose prompt is the conversation in `{self.conversation}` has no other input, example or pack"
            )
        return self
