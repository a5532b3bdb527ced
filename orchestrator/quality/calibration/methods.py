"""Thresholds from a uniformly labelled sample: the textbook methods that ours is measured against.

Each takes the sample's confidences and losses and answers with a threshold, or None to accept nothing.
"""

import math

import numpy as np
from numpy.typing import NDArray

from firstline.orchestrator.quality.calibration.bounds import Floats, critical_count

Bools = NDArray[np.bool_]

#: Keeps `0.05 * 200` from falling below 10 by rounding.
_EPSILON = 1e-9


def lowest_threshold(confidence: Floats, loss: Bools, most: int) -> float | None:
    """Return the lowest confidence of the sample at which at most `most` losses are accepted."""
    descending = np.sort(confidence[loss])[::-1]
    if most < 0:
        return None
    above = confidence[confidence > descending[most]] if len(descending) > most else confidence
    return float(above.min()) if len(above) else None


def naive(confidence: Floats, loss: Bools, max_loss: float, delta: float) -> float | None:
    """Accept as long as the sample's own loss stays within `max_loss`; guarantees nothing."""
    del delta
    return lowest_threshold(confidence, loss, math.floor(max_loss * len(loss) + _EPSILON))


def conformal_risk_control(confidence: Floats, loss: Bools, max_loss: float, delta: float) -> float | None:
    """Keep the expected loss within `max_loss`, on average over samples but not with probability 1 - delta.

    Angelopoulos et al. 2022, "Conformal Risk Control", equation 4.
    """
    del delta
    return lowest_threshold(confidence, loss, math.floor(max_loss * (len(loss) + 1) - 1 + _EPSILON))


def learn_then_test(confidence: Floats, loss: Bools, max_loss: float, delta: float) -> float | None:
    """Test threshold after threshold from the safest down, each at level `delta`, until one fails.

    Fixed-sequence testing with the exact binomial tail (Angelopoulos et al. 2021, "Learn then Test"), over every
    confidence of the sample: the finest grid it can have. The count of losses only grows as the threshold falls, so
    the walk ends where the count exceeds the critical one.
    """
    return lowest_threshold(confidence, loss, critical_count(len(loss), max_loss, delta))
