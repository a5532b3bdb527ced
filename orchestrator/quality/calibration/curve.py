"""What accepting answers from a confidence on would bring, by the labels that were bought: coverage and risk."""

from collections.abc import Mapping, Sequence

from firstline.orchestrator.quality.calibration.labels import NO_CONFIDENCE
from firstline.schemas.base import Frozen

_POINTS = 60


class Point(Frozen):
    """Accepting at this confidence or above."""

    confidence: float
    #: Share of all items that would be accepted.
    coverage: float
    #: Share of all items that would be accepted and lost, as the labelled ones among them have it.
    loss: float


def risk_curve(confidence: Sequence[float], lost: Mapping[int, bool]) -> tuple[Point, ...]:
    """Return points from the surest answers down to the last labelled one; `lost`: place -> whether it was lost.

    Labels are read from the most confident draw down, so that among answers above a labelled one they are an even
    random share. El-Yaniv and Wiener 2010, "On the foundations of noise-free selective classification".
    """
    order = sorted((n for n in range(len(confidence)) if confidence[n] > NO_CONFIDENCE), key=lambda n: -confidence[n])
    points, labelled, losses = [], 0, 0
    for rank, n in enumerate(order, start=1):
        if n not in lost:
            continue
        labelled, losses = labelled + 1, losses + lost[n]
        is_last_of_its_confidence = rank == len(order) or confidence[order[rank]] < confidence[n]
        if is_last_of_its_confidence or labelled == len(lost):
            coverage = rank / len(confidence)
            points.append(Point(confidence=float(confidence[n]), coverage=coverage, loss=coverage * losses / labelled))
    return tuple(points[:: max(1, len(points) // _POINTS)])
