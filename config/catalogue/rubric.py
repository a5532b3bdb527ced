"""How much reasoning a task asks for, scored by a rubric."""

from pydantic import Field

from firstline.schemas.base import Frozen
from firstline.schemas.policy import Demand

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
