"""How a loss and a chance of error are shared out: over a ladder's tiers, a tier's models, and look after look."""

from collections.abc import Sequence

#: Share of delta that the first look takes, and of what is left each further one.
FIRST_LOOK = 0.7
#: Share of a tier's delta that is for the model it asks first; those that stand in for it have the rest.
FIRST_MODEL = 0.5


def loss_of(max_loss: float, tiers: int) -> float:
    """Return the loss that one of so many tiers may have: what all of them accept together adds up."""
    return max_loss / tiers


def deltas_of(delta: float, models: Sequence[int]) -> list[list[float]]:
    """Return the chances of error tier by tier, model by model, given how many models each has; their sum is delta.

    All certificates of a job have to hold at once, so by the union bound their chances of error add up. Of a step none
    of whose models can be weighed there is nothing to share out.
    """
    each = delta / max(1, len(models))
    return [_over_models(each, count) for count in models]


def _over_models(delta: float, count: int) -> list[float]:
    if count == 1:
        return [delta]
    others = delta * (1 - FIRST_MODEL) / (count - 1)
    return [delta * FIRST_MODEL, *([others] * (count - 1))]


def delta_of_look(delta: float, look: int) -> float:
    """Return what the look of that number (from 1) may spend of delta, so that however many looks spend no more.

    Whoever tries signals, losses or more labels until something certifies errs if any of the looks errs.
    """
    return delta * FIRST_LOOK * (1 - FIRST_LOOK) ** (look - 1)
