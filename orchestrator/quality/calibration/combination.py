"""Which signal, or which combination of several, tells right answers from wrong ones: learned on labels of its own.

What is learned here certifies nothing: the threshold is sought on other labels, so that no choice needs a correction.
The combination is a logistic regression with a Gaussian prior; that it is worth having is judged across folds, by the
area under the ROC curve (Hanley and McNeil 1982, "The meaning and use of the area under a ROC curve", Radiology 143).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from firstline.orchestrator.quality.calibration.bounds import Floats
from firstline.schemas.policy import COMBINED, Combination
from firstline.workers.rules.combined_signal import ANSWER_CHARS, ITEM_CHARS, combined, feature

#: Share of the labels that the learning uses, and labels from which on anything is spent on it.
LEARNING = 0.25
FEWEST = 120
#: Lost and kept answers, each, from which on a combination is fitted.
_LEAST = 5
#: Area that a combination has to gain over the best single signal.
_GAIN = 0.02
#: Prior deviation of a standardised feature's weight.
_PRIOR = 1.0
_FOLDS, _REPEATS, _STEPS = 5, 4, 40
_NORMAL_95 = 1.96


@dataclass(frozen=True)
class Separation:
    """How well a signal tells right from wrong: the chance that a right answer has the higher value, and its interval.

    0.5 is a coin.
    """

    signal: str
    auroc: float
    low: float
    high: float

    @property
    def is_useless(self) -> bool:
        """Whether it may be no better than a coin."""
        return self.low <= 0.5

    def __str__(self) -> str:
        told = f"{self.signal} {self.auroc:.2f} ({self.low:.2f} to {self.high:.2f})"
        return f"{told}, which may be a coin" if self.is_useless else told


@dataclass(frozen=True)
class ChosenSignal:
    """What is to be calibrated, and what each signal was found to be worth."""

    signal: str
    combination: Combination | None
    separations: tuple[Separation, ...]


def labels_to_learn(labels: int, signals: int) -> int:
    """Return how many of the labels go to learning; none where there is nothing to choose, or too few labels."""
    return round(LEARNING * labels) if signals > 1 and labels >= FEWEST else 0


def choose_signal(known: Sequence[Mapping[str, float]], lost: Sequence[bool], signals: Sequence[str]) -> ChosenSignal:
    """Return the combination of `signals` and lengths where it tells more than each alone, else the best of them.

    `known` and `lost` are of the labelled answers; every answer has a value of every signal.
    """
    wrong = np.array(lost, dtype=np.bool_)
    alone = tuple(separation(name, np.array([one[name] for one in known]), wrong) for name in signals)
    best = max(alone, key=lambda one: one.auroc)
    if min(wrong.sum(), (~wrong).sum()) < _LEAST:
        return ChosenSignal(signals[0] if best.is_useless else best.signal, None, alone)
    names = (*signals, *(name for name in (ANSWER_CHARS, ITEM_CHARS) if all(name in one for one in known)))
    together = separation(COMBINED, _across_folds(known, wrong, names), wrong)
    if together.auroc < best.auroc + _GAIN:
        return ChosenSignal(best.signal, None, (*alone, together))
    return ChosenSignal(COMBINED, fit(known, wrong, names), (*alone, together))


def separation(signal: str, values: Floats, lost: "np.ndarray") -> Separation:
    """Return the area under the ROC curve of values that are higher for right answers, with a 95% interval."""
    right, wrong = values[~lost], values[lost]
    if not len(right) or not len(wrong):
        return Separation(signal, 0.5, 0.0, 1.0)
    above = (right[:, None] > wrong[None, :]).mean() + 0.5 * (right[:, None] == wrong[None, :]).mean()
    area = float(above)
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (len(right) - 1) * (q1 - area**2) + (len(wrong) - 1) * (q2 - area**2)
    error = math.sqrt(max(0.0, spread) / (len(right) * len(wrong)))
    return Separation(signal, area, max(0.0, area - _NORMAL_95 * error), min(1.0, area + _NORMAL_95 * error))


def fit(known: Sequence[Mapping[str, float]], lost: "np.ndarray", names: Sequence[str]) -> Combination:
    """Return the logistic regression of being right on the features, by Newton's method."""
    raw = np.array([[feature(name, one[name]) for name in names] for one in known])
    centres, scales = raw.mean(axis=0), np.maximum(raw.std(axis=0), 1e-6)
    design = np.column_stack([np.ones(len(raw)), (raw - centres) / scales])
    precision = np.diag([1e-4, *([_PRIOR**-2.0] * len(names))])
    weights = np.zeros(design.shape[1])
    right = (~lost).astype(float)
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(design @ weights, -40, 40)))
        slope = design.T @ (chance - right) + precision @ weights
        curve = (design * (chance * (1 - chance))[:, None]).T @ design + precision
        step = np.linalg.solve(curve, slope)
        weights = weights - step
        if np.abs(step).max() < 1e-8:
            break
    return Combination(
        features=tuple(names),
        centres=tuple(map(float, centres)),
        scales=tuple(map(float, scales)),
        weights=tuple(map(float, weights[1:])),
        intercept=float(weights[0]),
    )


def _across_folds(known: Sequence[Mapping[str, float]], lost: "np.ndarray", names: Sequence[str]) -> Floats:
    """Return the score of each answer by a combination that was fitted without it: ranks, averaged over repeats."""
    rng = np.random.default_rng(0)
    total: Floats = np.zeros(len(known))
    for _ in range(_REPEATS):
        folds = rng.permutation(len(known)) % _FOLDS
        for fold in range(_FOLDS):
            inside, outside = [*map(int, np.flatnonzero(folds != fold))], [*map(int, np.flatnonzero(folds == fold))]
            if outside and 0 < lost[inside].sum() < len(inside):
                fitted = fit([known[at] for at in inside], lost[inside], names)
                total[outside] += [combined(fitted, known[at]) or 0.0 for at in outside]
    return total
