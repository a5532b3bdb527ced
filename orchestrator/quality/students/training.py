"""Training a student, and what it answers on items that it was not trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firstline.schemas.errors import UserError
from firstline.workers.rules.student_model import Floats, StudentModel, leader

#: Inverse of the regularisation: margins rank best around here, and little changes from 1 to 10.
_COST = 2.0
_TOLERANCE = 0.1
#: Parts that the opening items are divided into; each is answered by a student that was trained without it.
_FOLDS = 3


@dataclass(frozen=True)
class HeldOut:
    """How students fared on items that they were not trained on, drawn at random from all items."""

    #: Highest first.
    margins: Floats
    #: Whether the answer differs from the top tier's.
    wrong: NDArray[np.bool_]

    def losses(self) -> Floats:
        """Return the share of all items that is answered wrong when all up to each margin are answered."""
        counted: Floats = np.cumsum(self.wrong) / max(1, len(self.wrong))
        return counted


@dataclass(frozen=True)
class Lesson:
    """A trained student, and its held-out record."""

    model: StudentModel
    held_out: HeldOut
    #: Labels that it was trained on.
    labels: int


def train(features: Any, answers: Sequence[str], opening: NDArray[np.bool_], *, seed: int = 0) -> Lesson:
    """Train on labelled items: a sparse row (`text_features`) and a canonical answer each.

    `opening` marks the items that were labelled whatever they were, before a student served any: they are a random
    sample of all items, and only they go into the held-out record. UserError: scikit-learn is not there, or there is
    only one answer.
    """
    names, y = np.unique(np.array(answers, dtype=object).astype(str), return_inverse=True)
    if len(names) < 2:
        raise UserError(f"a student needs answers that differ to learn from; all {len(answers)} labels are {names[0]}")
    fold = np.where(opening, np.random.default_rng(seed).integers(0, _FOLDS, len(y)), -1)
    said = np.empty(len(y), dtype=np.int64)
    margins = np.zeros(len(y))
    for part in range(_FOLDS):
        rows = fold == part
        if rows.any():
            said[rows], margins[rows] = leader(_fitted(features, y, ~rows, len(names)).scores(features[rows]))
    whole = _fitted(features, y, np.ones(len(y), dtype=bool), len(names))
    order = np.flatnonzero(opening)[np.argsort(-margins[opening], kind="stable")]
    held_out = HeldOut(margins[order], said[order] != y[order])
    return Lesson(_plain(whole, names.tolist()), held_out, len(y))


@dataclass(frozen=True)
class _Fit:
    """Weights as scikit-learn has them, spread over all answers."""

    weights: Floats
    bias: Floats

    def scores(self, features: Any) -> Floats:
        return np.asarray(features @ self.weights + self.bias)


def _fitted(features: Any, y: NDArray[np.int64], rows: NDArray[np.bool_], answers: int) -> _Fit:
    svm = _sklearn_svm()
    known = svm.LinearSVC(C=_COST, tol=_TOLERANCE, dual=True, random_state=0)
    seen = np.unique(y[rows])
    weights = np.zeros((features.shape[1], answers))
    # What it has not seen it never says.
    bias = np.full(answers, -1e6)
    if len(seen) == 1:
        bias[seen] = 1.0
        return _Fit(weights, bias)
    known.fit(features[rows], y[rows])
    both = len(seen) == 2
    weights[:, seen] = np.vstack([-known.coef_, known.coef_]).T if both else known.coef_.T
    bias[seen] = np.concatenate([-known.intercept_, known.intercept_]) if both else known.intercept_
    return _Fit(weights, bias)


def _sklearn_svm() -> Any:
    try:
        from sklearn import svm
    except ImportError as error:
        raise UserError("students are trained by scikit-learn: pip install 'firstline[student]'") from error
    return svm


def _plain(fit: _Fit, names: Sequence[str]) -> StudentModel:
    columns = np.flatnonzero(fit.weights.any(axis=1)).astype(np.int32)
    return StudentModel(
        answers=tuple(names),
        columns=columns,
        weights=fit.weights[columns].astype(np.float32),
        bias=fit.bias.astype(np.float32),
    )
