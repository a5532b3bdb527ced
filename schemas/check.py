"""What a skill can ask to be checked of an answer, and what a check answers."""

import ast
import re
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from firstline.schemas.base import Frozen, Json

#: Characters of a pattern.
_LONGEST_PATTERN = 5_000


def _pattern(text: str) -> str:
    if len(text) > _LONGEST_PATTERN:
        raise ValueError(f"expected at most {_LONGEST_PATTERN:,} characters of a pattern, got {len(text):,}")
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"expected a regular expression, got {text!r}: {error}") from None
    return text


def _grouping(text: str) -> str:
    if re.compile(_pattern(text)).groups < 1:
        raise ValueError(f"expected a group around the id, such as \\[(\\w+)\\], got {text!r}")
    return text


def _iso_date(text: str) -> str:
    try:
        date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"expected an ISO date such as 2026-01-31, got {text!r}") from None
    return text


def python_expression(text: str) -> str:
    """Return an expression that Python can read; ValueError for any other text."""
    try:
        ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"expected an expression such as `answer.total > 0`, got {text!r}: {error}") from None
    return text


class _Check(Frozen):
    #: Dotted path into the answer (`slots.date`); the whole answer when missing.
    field: str | None = None
    #: Tiers whose answers it looks at; all when empty.
    tiers: tuple[str, ...] = ()
    #: Said to the model as feedback instead of the check's own reason.
    hint: str | None = None


class OneOf(_Check):
    """The value is one of `values` (also given by an `enum` in the schema); lists: each element is."""

    kind: Literal["one_of"]
    values: tuple[Json, ...] = Field(min_length=1)


class Regex(_Check):
    """The text matches `pattern` somewhere (`full: true`: as a whole; `absent: true`: nowhere)."""

    kind: Literal["regex"]
    pattern: Annotated[str, AfterValidator(_pattern)]
    full: bool = False
    absent: bool = False
    ignore_case: bool = False


class _Bounded(_Check):
    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high = getattr(self, "min", None), getattr(self, "max", None)
        if low is not None and high is not None and low > high:
            raise ValueError(f"min must not exceed max, got min {low} and max {high}")
        return self


class Range(_Bounded):
    """The number lies within `min` and `max`, both included."""

    kind: Literal["range"]
    min: float | None = None
    max: float | None = None


class Length(_Bounded):
    """The text has so many characters (`unit: words`: words), the list so many elements."""

    kind: Literal["length"]
    min: int | None = Field(default=None, ge=0)
    max: int | None = Field(default=None, ge=0)
    unit: Literal["characters", "words", "elements"] = "characters"


class Date(_Check):
    """The text is a date in `format` (strptime; ISO 8601 when missing), between `after` and `before` (ISO dates)."""

    kind: Literal["date"]
    format: str | None = None
    after: Annotated[str, AfterValidator(_iso_date)] | None = None
    before: Annotated[str, AfterValidator(_iso_date)] | None = None


class NumberAsWritten(_Check):
    """The number, sum of money or date is the one that its quote, a text of the answer, has in writing.

    `quote` is the field beside it (`items.total` and `items.quote`: each total with its own quote). `locale` (`de`,
    `en_US`) says how numbers and dates are written; without one, what may be read in two ways counts in both.
    """

    kind: Literal["number_as_written"]
    field: str
    quote: str
    written: Literal["number", "money", "date"] = "number"
    #: Of money: the field beside it that holds the currency, which the quote must show as its code or sign.
    currency: str | None = None
    locale: str | None = Field(default=None, max_length=20)


class Expression(_Check):
    """A simpleeval expression over `answer` and `item` is true: `answer.total == answer.net + answer.tax`."""

    kind: Literal["expression"]
    expression: Annotated[str, AfterValidator(python_expression)] = Field(min_length=1, max_length=2000)


class Grounded(_Check):
    """What was extracted stands in the input field `source` (all input fields when missing).

    `normalised` ignores case, white space and punctuation; lists and objects: each text in them.
    """

    kind: Literal["grounded"]
    source: str | None = None
    normalised: bool = True


class Citations(_Check):
    """Every id cited in the text by `pattern` (first group) is among the ids found in the input field `source`."""

    kind: Literal["citations"]
    source: str
    pattern: Annotated[str, AfterValidator(_grouping)] = r"\[([^\[\]\s]+)\]"
    min: int = Field(default=1, ge=0)


class Language(_Check):
    """The text is written in `language` (ISO 639-1 code)."""

    kind: Literal["language"]
    language: str = Field(pattern=r"^[a-z]{2}$")


class NoRefusal(_Check):
    """The text is not a refusal ("I'm sorry, but I can't ...")."""

    kind: Literal["no_refusal"]


#: A user's function: `module:function`.
FunctionPath = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*[:.][A-Za-z_]\w*$")]


class Executable(_Check):
    """A Python function of the user's by dotted path passes the answer.

    It is called with (answer, item) and returns True / None (passed), False, or a text: the reason it failed.
    """

    kind: Literal["function"]
    path: FunctionPath


class PlanSound(_Check):
    """A planner model's plan can be carried out: names that exist, no circles, within its limits and budget.

    What there is to choose from and the limits are the skill's inputs, as in `firstline.config.drafts.draft.Given`.
    """

    kind: Literal["plan"]


CheckSpec = Annotated[
    OneOf
    | Regex
    | Range
    | Length
    | Date
    | NumberAsWritten
    | Expression
    | Grounded
    | Citations
    | Language
    | NoRefusal
    | Executable
    | PlanSound,
    Field(discriminator="kind"),
]


class CheckResult(Frozen):
    """One check's word on one answer: `check` names it, `reason` says why it failed (None: it passed)."""

    check: str
    reason: str | None = None
    #: What the skill's author wants the model to hear instead of the reason.
    hint: str | None = None

    @property
    def passed(self) -> bool:
        """Whether the answer passed."""
        return self.reason is None

    @property
    def feedback(self) -> str | None:
        """What the model is told on a retry; None when the answer passed."""
        return None if self.reason is None else self.hint or self.reason
