"""The live loss, estimated from audited answers with an interval that holds however often one looks."""

import math
from collections.abc import Callable

from firstline.schemas.base import Frozen

#: Beta prior of the mixture: Jeffreys', which is sharpest where losses are rare.
_PRIOR = 0.5
_BISECTIONS = 60


class LiveLoss(Frozen):
    """What the audits so far say of the loss over all items."""

    #: Accepted answers that the frontier also answered, and how many of them were lost.
    audited: int
    losses: int
    #: Share of all items that are accepted from the cheap tier; scales the loss among accepted to the loss over all.
    accepted_share: float
    #: None before the first audit.
    estimate: float | None
    low: float
    high: float
    #: The interval covers the true loss at all times at once with probability `1 - delta`.
    delta: float

    def drifted(self, max_loss: float) -> bool:
        """Whether the loss is above `max_loss` beyond reasonable doubt; a false alarm ever has probability `delta`."""
        return self.low > max_loss

    def sound(self, max_loss: float) -> bool:
        """Whether the loss is within `max_loss` beyond reasonable doubt."""
        return self.high <= max_loss


def live_loss(losses: int, audited: int, *, accepted_share: float = 1.0, delta: float = 0.05) -> LiveLoss:
    """Return the running estimate and its interval after `audited` audits, an even random share of what is accepted.

    The interval is a confidence sequence: valid at every number of audits at once, so it may be looked at after each
    and acted upon at once, where a fixed-sample interval would raise false alarms sooner or later.
    """
    low, high = confidence_sequence(losses, audited, delta=delta)
    return LiveLoss(
        audited=audited,
        losses=losses,
        accepted_share=accepted_share,
        estimate=losses / audited * accepted_share if audited else None,
        low=low * accepted_share,
        high=high * accepted_share,
        delta=delta,
    )


def confidence_sequence(losses: int, audited: int, *, delta: float) -> tuple[float, float]:
    """Return the time-uniform interval of a Bernoulli rate after `losses` in `audited` trials.

    The beta-binomial mixture: for the true rate p, the likelihood of the data mixed over a beta prior, divided by that
    under p, is a non-negative martingale that starts at 1, so by Ville's inequality it ever reaches 1 / delta with
    probability delta at most. The interval is where it has not. Robbins 1970; Howard, Ramdas, McAuliffe and Sekhon
    2021, "Time-uniform, nonparametric, nonasymptotic confidence sequences"; as a bet: Waudby-Smith and Ramdas 2024,
    "Estimating means of bounded random variables by betting".
    """
    if not audited:
        return 0.0, 1.0
    mixed = _log_beta(_PRIOR + losses, _PRIOR + audited - losses) - _log_beta(_PRIOR, _PRIOR)
    limit = mixed + math.log(delta)

    def plausible(rate: float) -> bool:
        return _log_likelihood(losses, audited - losses, rate) > limit

    mean = losses / audited
    low = 0.0 if losses == 0 else _edge(plausible, inside=mean, outside=0.0)
    high = 1.0 if losses == audited else _edge(plausible, inside=mean, outside=1.0)
    return low, high


def _edge(plausible: Callable[[float], bool], *, inside: float, outside: float) -> float:
    """Bisect towards where plausible rates end; the answer lies just outside, the cautious side."""
    for _ in range(_BISECTIONS):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if plausible(middle) else (inside, middle)
    return outside


def _log_likelihood(losses: int, rest: int, rate: float) -> float:
    lost = losses * math.log(rate) if losses else 0.0
    kept = rest * math.log1p(-rate) if rest else 0.0
    return lost + kept


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
