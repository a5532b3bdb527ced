"""Several signals in one number: what a calibration fitted, applied to one answer; pure."""

import math
from collections.abc import Mapping

from firstline.schemas.policy import COMBINED, Combination, Confidence, Threshold

#: Features beside the signals: logarithms of the answer's and of the inputs' characters.
ANSWER_CHARS, ITEM_CHARS = "answer_chars", "item_chars"
LENGTHS = frozenset({ANSWER_CHARS, ITEM_CHARS})
#: Nearer to 0 and 1 than this a signal's log-odds say nothing more.
_EDGE = 1e-4


def feature(name: str, value: float) -> float:
    """Return a signal's log-odds; a length as it is."""
    if name in LENGTHS:
        return value
    inside = min(max(value, _EDGE), 1 - _EDGE)
    return math.log(inside / (1 - inside))


def combined(combination: Combination, known: Mapping[str, float]) -> float | None:
    """Return the score of one answer, 0..1; None where one of its features is not known."""
    if any(name not in known for name in combination.features):
        return None
    parts = zip(combination.features, combination.centres, combination.scales, combination.weights, strict=True)
    odds = combination.intercept + sum(
        weight * (feature(name, known[name]) - centre) / scale for name, centre, scale, weight in parts
    )
    return 1 / (1 + math.exp(-max(-40.0, min(40.0, odds))))


def as_asked(confidence: Confidence | None, threshold: Threshold | None) -> Confidence | None:
    """Return a confidence in the signal that a threshold is for, where that was measured; else as it is."""
    if confidence is None or threshold is None or threshold.signal == confidence.signal:
        return confidence
    value = confidence.known.get(threshold.signal)
    if threshold.signal == COMBINED and threshold.combination is not None:
        value = combined(threshold.combination, confidence.known)
    return confidence if value is None else confidence.evolve(signal=threshold.signal, value=value)
