"""How two answers to the same question are told to be the same."""

import re
from typing import Any

from pydantic import Field, model_validator

from firstline.schemas.base import Frozen

#: Left to a model that is asked whether two answers say the same.
JUDGE = "judge"
#: Compared by nobody, and on purpose.
NOBODY = "nobody"
#: What a comparator may be called, beside a function by its path.
COMPARATORS = ("exact", "number", "set_f1", JUDGE, NOBODY)
FUNCTION_PATH = re.compile(r"[.:]")


class Comparator(Frozen):
    """How the values of one field are compared."""

    #: `exact`, `number`, `set_f1`, `judge`, `nobody`, or a function by path: (one, other) -> 0..1.
    by: str = Field(min_length=1)
    #: Of `number`: relative difference that is none; beside what floating point leaves of a sum.
    tolerance: float = Field(default=0.0, ge=0, lt=1)
    #: Of `set_f1` and functions: likeness from which on two values are the same.
    at_least: float = Field(default=1.0, gt=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _by_name_alone(cls, said: Any) -> Any:
        return {"by": said} if isinstance(said, str) else said


class Judge(Frozen):
    """Which model says whether two answers in prose say the same, and what it looks at."""

    #: A tier's name, or a model's of the profile; the top tier's first model when missing.
    model: str | None = None
    #: What has to be the same, and what may differ.
    rubric: str = Field(default="", max_length=4000)
