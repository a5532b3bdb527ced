"""Answers of several models on the same rows, as the choosing sees them: bought as they are needed, or recorded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Answers:
    """What one model answered on some rows, an entry a row."""

    #: Higher for surer answers; `labels.NO_CONFIDENCE` where there is none, `-inf` where no answer was usable.
    confidence: Floats
    #: Numbers that are equal where answers are equal, in all models of a source; -1: no usable answer.
    alike: Ints
    #: Dollars of the answers without those of their confidences.
    cost_usd: Floats
    #: Dollars of the confidences, where those cost extra.
    confidence_usd: Floats

    def __len__(self) -> int:
        return len(self.confidence)

    def at(self, rows: Ints) -> "Answers":
        """Return the answers on some of the rows, by their place."""
        return Answers(self.confidence[rows], self.alike[rows], self.cost_usd[rows], self.confidence_usd[rows])


class Source(Protocol):
    """Rows numbered from 0, the models that may answer them, and a top model that says what is right."""

    @property
    def rows(self) -> int:
        """How many rows there are."""
        ...

    @property
    def candidates(self) -> Sequence[str]:
        """Names of the models below the top one."""
        ...

    @property
    def shows(self) -> int:
        """How many of the top model's answers a prompt may show as worked examples; 0: none."""
        ...

    def with_examples(self, candidate: str, rows: Ints) -> str | None:
        """Return the name of the same candidate with labelled rows shown in its prompt; None: it takes none."""
        ...

    def answers(self, candidate: str, rows: Ints) -> Answers:
        """Return a candidate's answers on rows."""
        ...

    def label(self, rows: Ints) -> Floats:
        """Have the top model answer rows and return the dollars of each; a row costs one label, once."""
        ...

    @property
    def labelled(self) -> int:
        """How many rows the top model has answered."""
        ...

    def expect(self, rows: Ints) -> None:
        """Hear which rows will be labelled next, in this order, as far as it goes."""
        ...

    def lost(self, candidate: str, rows: Ints) -> Bools:
        """Say of labelled rows whether taking the candidate's answer loses what the top model has right."""
        ...
