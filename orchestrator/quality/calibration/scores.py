"""Labelled confidences: read from a CSV or built from rows, and refused where no threshold could be trusted."""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from firstline.schemas.base import Frozen
from firstline.schemas.errors import UserError

_REQUIRED = ("id", "confidence", "cheap_correct")
_TRUTH = {"1": True, "1.0": True, "true": True, "yes": True, "0": False, "0.0": False, "false": False, "no": False}
_NO_CONFIDENCE = "where there is none, write a very low number such as -1e9 (it then escalates), or drop the row"


class Score(Frozen):
    """One item: the cheap answer's confidence, and who was right."""

    id: str
    #: Any number that is higher for surer answers, such as a log-probability.
    confidence: float
    #: Against gold; without gold, whether the cheap answer agrees with the frontier's.
    cheap_correct: bool
    #: None: no gold, or unknown; then the frontier counts as right.
    frontier_correct: bool | None = None

    @property
    def loss(self) -> bool:
        """Whether accepting the cheap answer loses what the frontier would have got right."""
        return not self.cheap_correct and self.frontier_correct is not False


@dataclass(frozen=True)
class Scores:
    """The same as arrays, one entry an item."""

    confidence: NDArray[np.float64]
    loss: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.loss)


def scores_of(rows: Sequence[Score]) -> Scores:
    """Return the rows as arrays; raises `UserError` where ids repeat or the confidences cannot rank anything."""
    _refuse_repeats(rows)
    confidence = np.array([row.confidence for row in rows], dtype=np.float64)
    wrong = next((row for row in rows if math.isnan(row.confidence) or row.confidence == math.inf), None)
    if wrong:
        raise UserError(f"Item {wrong.id}: expected a finite confidence, got {wrong.confidence}; {_NO_CONFIDENCE}.")
    # log(0) is a fair way to say "none"; the lowest float keeps its order and survives JSON.
    confidence = np.maximum(confidence, np.finfo(np.float64).min)
    if len(rows) < 2:
        raise UserError(f"Expected at least 2 labelled items, got {len(rows)}; a few hundred make a useful threshold.")
    if confidence.min() == confidence.max():
        raise UserError(
            f"Expected confidences that differ, got {confidence[0]:g} for all {len(rows)} items: a constant signal "
            "cannot tell right from wrong. Calibrate another signal (agreement of samples, a verifier)."
        )
    return Scores(confidence, np.array([row.loss for row in rows], dtype=np.bool_))


def read_scores(path: Path) -> Scores:
    """Read a CSV with columns `id,confidence,cheap_correct` and optionally `frontier_correct`.

    Correctness is 0/1, true/false or yes/no; an empty `frontier_correct` counts as right, the cautious reading. Raises
    `UserError` with the line and column at fault.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return scores_of(list(_rows(csv.DictReader(file), path.name)))
    except OSError as error:
        raise UserError(f"Expected a CSV of scores at {path}, but it cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"Expected {path.name} to be CSV in UTF-8, but: {error}.") from error


def _rows(reader: "csv.DictReader[str]", name: str) -> Iterable[Score]:
    columns = {(field or "").strip().lower(): field for field in reader.fieldnames or ()}
    missing = [column for column in _REQUIRED if column not in columns]
    if missing:
        raise UserError(
            f"{name}: expected columns id,confidence,cheap_correct[,frontier_correct]; missing {', '.join(missing)}, "
            f"found {', '.join(columns) or 'none'}. Rename or add them in the first line."
        )
    for row in reader:
        cells = {column: (row[field] or "").strip() for column, field in columns.items()}
        yield _score(cells, f"{name}, line {reader.line_num}")


def _score(cells: Mapping[str, str], where: str) -> Score:
    frontier = cells.get("frontier_correct", "")
    return Score(
        id=cells["id"],
        confidence=_number(cells["confidence"], where),
        cheap_correct=_truth(cells["cheap_correct"], where, "cheap_correct"),
        frontier_correct=_truth(frontier, where, "frontier_correct") if frontier else None,
    )


def _number(text: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if math.isnan(number) or number == math.inf:
        raise UserError(f"{where}: expected a number as confidence, got {text or 'nothing'}; {_NO_CONFIDENCE}.")
    return number


def _truth(text: str, where: str, column: str) -> bool:
    if text.lower() not in _TRUTH:
        raise UserError(
            f"{where}: expected 0 or 1 as {column}, got {text or 'nothing'}; label the item or drop the row."
        )
    return _TRUTH[text.lower()]


def _refuse_repeats(rows: Sequence[Score]) -> None:
    first: dict[str, Score] = {}
    for row in rows:
        seen = first.setdefault(row.id, row)
        if seen is not row:
            contradicts = (seen.cheap_correct, seen.frontier_correct) != (row.cheap_correct, row.frontier_correct)
            how = "with contradictory labels" if contradicts else "twice"
            raise UserError(f"Expected each id once, got {row.id!r} {how}: keep one row an item, with the right label.")
