"""Recorded answers of several models on the same items: read from JSON Lines, and played to the choosing."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic import Field, ValidationError

from firstline.orchestrator.experiments.tuning.answers import Answers, Bools, Floats, Ints
from firstline.orchestrator.quality.calibration.labels import NO_CONFIDENCE
from firstline.schemas.base import Frozen, Json, digest
from firstline.schemas.errors import UserError


class RecordedAnswer(Frozen):
    """One model's answer on one item."""

    answer: Json = None
    correct: bool
    #: None: no value; such an answer is taken only where everything is.
    confidence: float | None = None
    cost_usd: float = Field(ge=0, allow_inf_nan=False)
    confidence_cost_usd: float = Field(default=0.0, ge=0, allow_inf_nan=False)


class RecordedItem(Frozen):
    """One line of a file of recorded answers."""

    id: str | int
    text: str | None = None
    models: Mapping[str, RecordedAnswer]


@dataclass(frozen=True)
class Column:
    """One model's answers on all items, and which of them are right."""

    answers: Answers
    correct: Bools


@dataclass(frozen=True)
class Records:
    """Every model's answers on the same items; the top model says what is right to take."""

    top: str
    columns: Mapping[str, Column]

    @property
    def rows(self) -> int:
        """How many items there are."""
        return len(self.columns[self.top].answers)

    @property
    def candidates(self) -> tuple[str, ...]:
        """The models below the top one."""
        return tuple(name for name in self.columns if name != self.top)

    @property
    def top_usd(self) -> Floats:
        """Dollars of the top model's answers."""
        return self.columns[self.top].answers.cost_usd

    def losses(self, candidate: str) -> Bools:
        """Say on which items taking the candidate's answer loses what the top model has right."""
        lost: Bools = ~self.columns[candidate].correct & self.columns[self.top].correct
        return lost


@dataclass
class RecordedSource:
    """A source that answers from records and counts what it was asked."""

    records: Records
    _asked: dict[str, Bools] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self.records.rows

    @property
    def candidates(self) -> Sequence[str]:
        """The models below the top one."""
        return self.records.candidates

    @property
    def shows(self) -> int:
        """What a model would say to another prompt is not on record."""
        return 0

    def with_examples(self, candidate: str, rows: Ints) -> str | None:
        """Return nothing."""

    def answers(self, candidate: str, rows: Ints) -> Answers:
        """Return a candidate's recorded answers."""
        self._note(candidate, rows)
        return self.records.columns[candidate].answers.at(rows)

    def label(self, rows: Ints) -> Floats:
        """Return the top model's dollars on rows."""
        self._note(self.records.top, rows)
        dollars: Floats = self.records.top_usd[rows]
        return dollars

    def expect(self, rows: Ints) -> None:
        """Buy nothing ahead: what is recorded is at hand."""

    def lost(self, candidate: str, rows: Ints) -> Bools:
        """Say which of the candidate's answers are losses."""
        lost: Bools = self.records.losses(candidate)[rows]
        return lost

    @property
    def labelled(self) -> int:
        """How many rows the top model was asked."""
        return int(self._asked[self.records.top].sum()) if self.records.top in self._asked else 0

    @property
    def spent_usd(self) -> float:
        """Dollars of everything that was asked, each answer once."""
        columns = self.records.columns
        return sum(
            float((columns[name].answers.cost_usd + columns[name].answers.confidence_usd)[asked].sum())
            for name, asked in self._asked.items()
        )

    def _note(self, model: str, rows: Ints) -> None:
        self._asked.setdefault(model, np.zeros(self.rows, dtype=np.bool_))[rows] = True


def read_records(path: Path, *, top: str | None = None) -> Records:
    """Read recorded answers; the top model is the one named, else the dearest.

    Raises `UserError` with the line at fault: no JSON, another form, an id twice, an item without one of the models.
    """
    items: list[RecordedItem] = []
    seen: set[str | int] = set()
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    items.append(_item(line, f"{path.name}, line {number}"))
                    if items[-1].id in seen:
                        raise UserError(
                            f"{path.name}, line {number}: id {items[-1].id!r} came before; keep one line an item"
                        )
                    seen.add(items[-1].id)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"expected a file of recorded answers at {path}, but it cannot be read: {error}") from error
    if len(items) < 2:
        raise UserError(f"{path.name}: expected at least 2 items, got {len(items)}")
    return _records(items, path.name, top)


def _item(line: str, where: str) -> RecordedItem:
    try:
        return RecordedItem.model_validate(json.loads(line))
    except ValidationError as error:
        first = error.errors()[0]
        field_name = ".".join(map(str, first["loc"]))
        raise UserError(f"{where}: {field_name}: {first['msg']}") from error
    except ValueError as error:
        raise UserError(f"{where}: expected a JSON object, but: {error}") from error


def _records(items: Sequence[RecordedItem], name: str, top: str | None) -> Records:
    models = list(items[0].models)
    for item in items:
        if set(item.models) != set(models):
            odd = ", ".join(sorted(set(item.models) ^ set(models)))
            raise UserError(f"{name}: every item needs an answer of every model; item {item.id} differs in {odd}")
    numbers: dict[str, int] = {}
    columns = {model: _column([item.models[model] for item in items], numbers) for model in models}
    dearest = max(models, key=lambda model: float(columns[model].answers.cost_usd.sum()))
    if top is not None and top not in columns:
        raise UserError(f"--top: {name} has no model '{top}'; it has {', '.join(models)}")
    return Records(top or dearest, columns)


def _column(cells: Sequence[RecordedAnswer], numbers: dict[str, int]) -> Column:
    """`numbers` gives equal answers of all models one number; it grows."""
    return Column(
        Answers(
            confidence=np.array([_confidence(cell) for cell in cells]),
            alike=np.array(
                [
                    -1 if cell.answer is None else numbers.setdefault(digest(cell.answer), len(numbers))
                    for cell in cells
                ],
                dtype=np.int64,
            ),
            cost_usd=np.array([cell.cost_usd for cell in cells]),
            confidence_usd=np.array([cell.confidence_cost_usd for cell in cells]),
        ),
        np.array([cell.correct for cell in cells], dtype=np.bool_),
    )


def _confidence(cell: RecordedAnswer) -> float:
    value = cell.confidence
    return NO_CONFIDENCE if value is None or math.isnan(value) else max(min(value, 1e300), NO_CONFIDENCE)
