"""Answers of nine simulated models over items of a latent difficulty: development sets for the tuning bench."""

from collections.abc import Mapping

import numpy as np

from firstline.orchestrator.experiments.tuning.answers import Answers
from firstline.orchestrator.experiments.tuning.recorded import Column, Records
from firstline.orchestrator.quality.calibration.labels import NO_CONFIDENCE

MODELS = 9
#: How the models of a set differ from each other.
KINDS = ("mixed", "strong", "weak", "equal", "good_signal", "useless_signal", "prices_shuffled")


def simulated(kind: str, seed: int) -> Records:
    """Return a set of 800 to 1,800 items; prices span two orders of magnitude, wrong answers seldom agree."""
    rng = np.random.default_rng(seed)
    items = int(rng.integers(800, 1801))
    difficulty = rng.normal(0, 1.2, items)
    quirk = rng.normal(0, 0.8, items)
    length = np.exp(rng.normal(0, 0.6, items))
    gold = rng.integers(0, 10, items)
    columns = {}
    for number, (skill, price) in enumerate(zip(_skills(kind, rng), _prices(kind, rng), strict=True)):
        odds = 1.5 * (skill - difficulty) + 0.7 * quirk + rng.normal(0, 0.8, items)
        correct = rng.random(items) < 1 / (1 + np.exp(-odds))
        confidence, extra = _signal(kind, odds, rng)
        cost = price * length * rng.lognormal(0, 0.3, items)
        answers = np.where(correct, gold, (gold + rng.integers(1, 4, items)) % 10)
        columns[f"model-{number}"] = Column(Answers(confidence, answers, cost, extra * cost), correct)
    return Records(f"model-{MODELS - 1}", columns)


def development_sets(each: int = 1) -> Mapping[str, Records]:
    """Return so many sets of each kind."""
    names = [(kind, number) for number in range(each) for kind in KINDS]
    return {
        kind if number == 0 else f"{kind} {number + 1}": simulated(kind, seed)
        for seed, (kind, number) in enumerate(names, 100)
    }


def _skills(kind: str, rng: np.random.Generator) -> list[float]:
    match kind:
        case "equal":
            return [1.8] * MODELS
        case "strong":
            return sorted(rng.uniform(1.5, 3.2, MODELS))
        case "weak":
            return [*sorted(rng.uniform(-2, 0.3, MODELS - 1)), 1.6]
        case _:
            return sorted(rng.uniform(-1.5, 2.8, MODELS))


def _prices(kind: str, rng: np.random.Generator) -> list[float]:
    cheap = np.exp(np.sort(rng.uniform(np.log(0.05), np.log(5), MODELS - 1)))
    top = float(cheap[-1] * rng.uniform(1.5, 6))
    if kind == "prices_shuffled":
        rng.shuffle(cheap)
    return [*map(float, cheap), top]


def _signal(kind: str, odds: "np.ndarray", rng: np.random.Generator) -> tuple["np.ndarray", float]:
    """Return confidences, and what they cost beside the answers: models vote, give none, or give some now and then."""
    noise = {"useless_signal": 50.0, "good_signal": 0.5}.get(kind) or float(rng.choice([0.3, 0.8, 1.5, 3.0, 8.0]))
    values = 1 / (1 + np.exp(-(odds + rng.normal(0, 1.5 * noise, len(odds))) / 1.5))
    form = "free" if kind == "good_signal" else rng.choice(["free", "votes", "none", "gaps"], p=[0.6, 0.2, 0.1, 0.1])
    if form == "votes":
        return np.round(values * 5) / 5, 4.0
    if form == "none":
        return np.full(len(odds), NO_CONFIDENCE), 0.0
    return np.where(rng.random(len(odds)) < 0.15, NO_CONFIDENCE, values) if form == "gaps" else values, 0.0
