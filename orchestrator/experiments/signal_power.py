"""What a signal's confidences are worth: how much of a model's answers could be accepted at a loss that is borne."""

from collections.abc import Sequence
from dataclasses import dataclass

#: Answers from which on something is said of a signal.
LEAST = 20


@dataclass(frozen=True)
class Power:
    """The best threshold on answers of which it is known whether they are right."""

    #: Shares of all items: accepted at it, and accepted although wrong.
    accepted: float
    lost: float
    #: None: nothing may be accepted.
    threshold: float | None


def power_of(pairs: Sequence[tuple[float | None, bool]], *, items: int, max_loss: float) -> Power | None:
    """Return what (confidence, right) of a model's answers allow over so many items; None where too few tell.

    Accepted is from a confidence on, everything of one confidence or nothing; an answer without one is never accepted.
    Of the thresholds whose loss over all items is at most `max_loss`, the one that accepts most.
    """
    known = sorted(((value, right) for value, right in pairs if value is not None), reverse=True)
    if len(known) < LEAST or not items:
        return None
    best, accepted, lost = Power(0.0, 0.0, None), 0, 0
    for place, (value, right) in enumerate(known):
        accepted, lost = accepted + 1, lost + (not right)
        last_of_value = place + 1 == len(known) or known[place + 1][0] < value
        if last_of_value and lost <= max_loss * items:
            best = Power(accepted / items, lost / items, value)
    return best
