"""How likely each candidate's answer is a loss, learned from few labels and from how far the candidates agree.

Few labels say little about each of many models alone. Together they say much: what a wrong answer looks like (a low
confidence, an answer that the other models do not give) is much the same for all. So one logistic regression is fitted
for all candidates, with deviations of their own that are held back by a prior, and it is applied to rows without a
label. It chooses; it certifies nothing.
"""

from collections.abc import Mapping

import numpy as np

from firstline.orchestrator.experiments.tuning.answers import Answers, Bools, Floats

#: Common effects of being asked at all, of the confidence and of agreement: prior means (log-odds) and deviations.
_COMMON = (np.array([-1.5, -0.8, -1.5]), np.array([1.5, 0.8, 1.0]))
#: Deviations of one model's effects from the common ones.
_OWN = np.array([1.0, 0.6, 0.6])
#: A row's labels say the same of several models: they count for less than as many rows would.
_INFLATION = 1.5
_STEPS = 40


def learn(answers: Mapping[str, Answers], lost: Mapping[str, Bools], *, draws: int, seed: int) -> dict[str, Floats]:
    """Return draws x rows of chances that each candidate's answer is a loss; 0 or 1 where a label says.

    The first rows of all answers are those that `lost` has labels of. Raises nothing: without losses the prior stands.
    """
    names = list(answers)
    labelled = len(next(iter(lost.values())))
    features = _features(answers, lost)
    blocks = {name: _block(at, len(names), features[name]) for at, name in enumerate(names)}
    design = np.vstack([blocks[name][:labelled] for name in names])
    outcome = np.concatenate([lost[name] for name in names]).astype(float)
    centre, factor = _fit(design, outcome, len(names))
    drawn = centre + np.random.default_rng(seed).standard_normal((draws, len(centre))) @ factor.T
    found = {}
    for name in names:
        chances = _logistic(drawn @ blocks[name].T)
        chances[:, :labelled] = lost[name]
        found[name] = chances
    return found


def _features(answers: Mapping[str, Answers], lost: Mapping[str, Bools]) -> dict[str, tuple[Floats, Floats]]:
    """Return, per model and row, the confidence as a normal score and the weighted agreement of the others, -1..1."""
    names = list(answers)
    alike = np.array([answers[name].alike for name in names])
    weights = np.array([_weight(lost[name]) for name in names])
    found = {}
    for at, name in enumerate(names):
        others = np.where(np.arange(len(names)) == at, 0.0, weights)
        same = (alike == alike[at]) & (alike[at] >= 0)
        share = others @ same / max(float(others.sum()), 1e-9)
        found[name] = (_normal_scores(answers[name].confidence), 2 * share - 1)
    return found


def _weight(lost: Bools) -> float:
    """Return what a model's word counts: the log-odds of its not losing, never less than a little."""
    wrong = (float(lost.sum()) + 2) / (len(lost) + 4)
    return max(0.05, float(np.log((1 - wrong) / wrong)) + 1.5)


def _normal_scores(confidence: Floats) -> Floats:
    """Return ranks as quantiles of the normal distribution, ties at their middle: no scale of a signal matters."""
    from scipy.special import ndtri

    _, place, counts = np.unique(confidence, return_inverse=True, return_counts=True)
    middle = (np.cumsum(counts) - counts / 2) / len(confidence)
    scores: Floats = ndtri(middle)[place]
    return scores


def _block(at: int, models: int, features: tuple[Floats, Floats]) -> Floats:
    own = np.column_stack([np.ones(len(features[0])), *features])
    block = np.zeros((len(own), 3 * (models + 1)))
    block[:, :3] = own
    block[:, 3 * (at + 1) : 3 * (at + 2)] = own
    return block


def _fit(design: Floats, outcome: Floats, models: int) -> tuple[Floats, Floats]:
    """Return the most likely weights, and a factor of their covariance (Laplace's approximation)."""
    prior = np.concatenate([_COMMON[0], np.zeros(3 * models)])
    precision = np.concatenate([_COMMON[1] ** -2.0, np.tile(_OWN**-2.0, models)])
    weights = prior.copy()
    for _ in range(_STEPS):
        chance = _logistic(design @ weights)
        slope = design.T @ (chance - outcome) + precision * (weights - prior)
        curve = (design * (chance * (1 - chance))[:, None]).T @ design + np.diag(precision)
        step = np.linalg.solve(curve, slope)
        weights = weights - step * min(1.0, 3.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-7:
            break
    return weights, np.linalg.cholesky(np.linalg.inv(curve) * _INFLATION)


def _logistic(values: Floats) -> Floats:
    odds: Floats = 1 / (1 + np.exp(-np.clip(values, -40, 40)))
    return odds
