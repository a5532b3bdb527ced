"""The live loss, estimated from audited answers with an interval that holds however often one looks."""

import math
from collections.abc import Callable, Sequence

from firstline.orchestrator.quality.judge.error import JudgeError, called_different, corrected
from firstline.schemas.base import Frozen

#: Beta prior of the mixture: Jeffreys', which is sharpest where losses are rare.
_PRIOR = 0.5
_BISECTIONS = 60
#: Share of delta that goes to how many answers are accepted; the rest goes to how many of these are lost.
_DELTA_OF_SHARE = 0.2
#: Share of delta that goes to how often a judge is wrong, where one was asked.
_DELTA_OF_JUDGE = 0.3
#: Probability with which a judge may be worse than it is taken to be where a change is watched for: that alarm promises
#: nothing, and with bounds as wide as the interval's it would come too late.
_DELTA_OF_CHANGE = 0.1
#: The change that is watched for: from this part of the loss that is borne to this multiple of it.
_CALM, _CHANGED = 0.75, 2.0
#: Evidence for a change, in nats, at which the alarm is raised.
_ALARM = 3.45


class LiveLoss(Frozen):
    """What the audits so far say of the loss over all items."""

    #: Accepted answers that the frontier also answered, and how many of them were lost.
    audited: int
    losses: int
    #: Share of all items that are accepted from the cheap tier; scales the loss among accepted to the loss over all.
    accepted_share: float
    #: Evidence of late that the loss has risen to twice what is borne was enough to raise the alarm.
    changed: bool = False
    #: None before the first audit.
    estimate: float | None
    low: float
    high: float
    #: The interval covers the true loss at all times at once with probability `1 - delta`.
    delta: float

    def drifted(self, max_loss: float) -> bool:
        """Whether the loss is above `max_loss`: over all audits beyond reasonable doubt, or of late by a change."""
        return self.changed or self.low > max_loss

    def sound(self, max_loss: float) -> bool:
        """Whether the loss is within `max_loss` beyond reasonable doubt."""
        return self.high <= max_loss and not self.changed


def live_loss(
    outcomes: Sequence[bool],
    *,
    accepted: int,
    answered: int,
    max_loss: float,
    delta: float = 0.05,
    judge: JudgeError | None = None,
    judge_alone: bool = False,
) -> LiveLoss:
    """Return the running estimate and its interval from audits in order: `outcomes` says which were lost.

    Audited is an even random share of the `accepted` answers of a model among `answered` ones of all models. The
    interval is a confidence sequence: valid at every number of audits at once, so it may be looked at after each and
    acted upon at once, where a fixed-sample interval would raise false alarms sooner or later. The share that is
    accepted is counted too, and not known any better than that. Where a `judge` said which were lost its own error is
    carried along; `judge_alone`: no other field is compared.
    """
    losses, audited = sum(outcomes), len(outcomes)
    of_losses = 1 - _DELTA_OF_SHARE - (_DELTA_OF_JUDGE if judge else 0.0)
    low, high = confidence_sequence(losses, audited, delta=delta * of_losses)
    box = judge.box(delta * _DELTA_OF_JUDGE) if judge else None
    if box is not None:
        low, high = corrected(low, high, box, judge_alone=judge_alone)
    least, most = confidence_sequence(accepted, answered, delta=delta * _DELTA_OF_SHARE)
    share = accepted / answered if answered else 1.0
    called = losses / audited if audited else None

    def seen(true: float) -> float:
        return called_different(true, judge.box(_DELTA_OF_CHANGE), judge_alone=judge_alone) if judge else true

    return LiveLoss(
        audited=audited,
        losses=losses,
        accepted_share=share,
        changed=has_changed(outcomes, max_loss / share, seen=seen) if share else False,
        estimate=None if called is None else (judge.estimate(called) if judge else called) * share,
        low=low * least,
        high=high * most,
        delta=delta,
    )


def has_changed(outcomes: Sequence[bool], borne: float, *, seen: Callable[[float], float] = lambda true: true) -> bool:
    """Say whether losses have come so thick of late that their rate must have risen to twice the `borne` one.

    Page's cumulative sum (Page 1954, "Continuous inspection schemes"): the evidence for the higher rate against one
    somewhat below the borne one, never less than none, so that a long calm does not outweigh a late change. The alarm
    stays raised. `bench/promises.py` measures how soon it comes and how often without cause. `seen` says how often at
    most losses are seen at a true rate, where a judge sees them that is wrong at times.
    """
    calm, changed = seen(min(_CALM * borne, 0.99)), min(seen(min(_CHANGED * borne, 0.99)), 0.99)
    if not 0 < calm < changed:
        return False
    lost, kept = math.log(changed / calm), math.log1p(-changed) - math.log1p(-calm)
    evidence = 0.0
    for outcome in outcomes:
        evidence = max(0.0, evidence + (lost if outcome else kept))
        if evidence >= _ALARM:
            return True
    return False


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
