"""The promise that lets a student serve: coins keep it, whatever the items are and however the student changes.

Every answer that a student is sure of is audited with a fixed probability, by a coin of its own: then the top tier
answers the item instead, and a wrong answer is caught and serves nobody. A wrong answer that no coin catches is missed.
Before the c-th catch, misses follow the negative binomial law whatever came first: which items came, what drifted,
which student answered from which margin, and whatever was learnt from earlier catches. So a job in which students stop
at the c-th catch serves more than `m` wrong answers with the probability that a coin shows heads less than c times in
m + c tosses; c and the coin are chosen so that this is `delta`.
"""

import math
from dataclasses import dataclass

#: Share of delta that the coins may use up; the rest is kept back.
SPENT = 0.5
#: By how many per cent a student answers more for one per cent more of loss, as seen on questions to banks;
#: it only balances the audits' price against their precision.
_GAIN = 0.23
_MOST_CAUGHT = 60


@dataclass(frozen=True)
class StudentPromise:
    """At most `most_missed` items are served wrong: students stop for good at the `most_caught`-th catch."""

    most_missed: int
    most_caught: int
    #: Probability that an answer which would be served is audited instead.
    audit_share: float


def promise_for(items: int, *, max_loss: float, delta: float) -> StudentPromise | None:
    """Return what keeps `max_loss` of a job's `items` with probability `1 - delta`; None where it bears no miss."""
    missed = math.floor(max_loss * items + 1e-9)
    if missed < 1:
        return None
    return max((_stopping_at(caught, missed, SPENT * delta) for caught in range(1, _MOST_CAUGHT)), key=_worth)


def _stopping_at(caught: int, missed: int, level: float) -> StudentPromise:
    from scipy.special import betaincinv

    # P(fewer than c heads in m + c tosses) = 1 - I_p(c, m + 1).
    share = float(betaincinv(caught, missed + 1, 1 - level))
    return StudentPromise(most_missed=missed, most_caught=caught, audit_share=share)


def _worth(promise: StudentPromise) -> float:
    """Return what is left to answer after audits, and of the loss that is borne after the doubt."""
    share = promise.audit_share
    used = min(1.0, promise.most_caught * (1 - share) / share / promise.most_missed)
    return float((1 - share) * used**_GAIN)
