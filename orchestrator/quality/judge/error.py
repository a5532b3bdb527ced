"""How often a judge is wrong, from pairs that a person has labelled, and what that leaves of what it says."""

from typing import NamedTuple

from firstline.orchestrator.core.statistics import clopper_pearson
from firstline.schemas.base import Frozen

#: Labelled pairs of either kind that are asked for: an error of 10% is then known to about 6 points.
PAIRS_WANTED = 100


class ErrorBox(NamedTuple):
    """Bounds that hold together: of calling the same different (alarm), and of calling different the same (miss)."""

    alarm_low: float
    alarm_high: float
    miss_low: float
    miss_high: float


class JudgeError(Frozen):
    """What a judge said of pairs that a person had labelled."""

    #: Pairs that are the same, and those of them that it called different.
    same: int = 0
    alarms: int = 0
    #: Pairs that are not the same, and those of them that it called the same.
    different: int = 0
    missed: int = 0

    @property
    def is_measured(self) -> bool:
        """Whether pairs of both kinds were labelled; one kind alone says nothing of the other error."""
        return bool(self.same and self.different)

    def box(self, delta: float) -> ErrorBox:
        """Return bounds of both errors that hold together with probability `1 - delta`, whatever the true ones are.

        Exact (Clopper and Pearson 1934), each error at half of delta. Nothing labelled: from 0 to 1.
        """
        alarm, miss = (
            clopper_pearson(wrong, pairs, level=1 - delta / 2)
            for wrong, pairs in ((self.alarms, self.same), (self.missed, self.different))
        )
        return ErrorBox(alarm.low, alarm.high, miss.low, miss.high)

    def most_missed(self, delta: float) -> float:
        """Return what the share of differences that it misses exceeds with probability `delta` at most."""
        return clopper_pearson(self.missed, self.different, level=1 - 2 * delta).high

    def estimate(self, called: float) -> float:
        """Return the likeliest share of differences where it calls the share `called` different."""
        if not self.is_measured:
            return called
        alarm, miss = self.alarms / self.same, self.missed / self.different
        return min(1.0, max(0.0, (called - alarm) / (1 - alarm - miss))) if alarm + miss < 1 else called

    def __str__(self) -> str:
        if not self.is_measured:
            return "nobody has measured how often it is wrong"
        box = self.box(0.05)
        return (
            f"of {self.same} labelled pairs that are the same it calls {self.alarms} different "
            f"({box.alarm_low:.0%} to {box.alarm_high:.0%}), of {self.different} that differ {self.missed} the same "
            f"({box.miss_low:.0%} to {box.miss_high:.0%})"
        )


#: Of a judge that nobody has measured: it may always be wrong.
UNMEASURED = JudgeError()


def corrected(low: float, high: float, box: ErrorBox, *, judge_alone: bool) -> tuple[float, float]:
    """Return the interval of the true share of differences from that of the share which is called different.

    Called different is q = t (1 - miss) + (1 - t) alarm of a true share t. So t is at most (q - alarm) / (1 - miss -
    alarm) at the least alarm and the largest miss, and at least that at the largest alarm and the least miss: the
    estimate of Rogan and Gladen 1978 ("Estimating prevalence from the results of a screening test") at the corners of
    the box, as Reiczigel, Foldi and Ozsvari 2010 and Lang and Reiczigel 2014 bound it. It holds whatever the errors
    are within the box, with the probability that interval and box hold together (union bound). Where other fields are
    compared too (not `judge_alone`), their differences are missed by nobody, hence no miss is sure.
    """
    upper, lower = 1 - box.miss_high - box.alarm_low, 1 - (box.miss_low if judge_alone else 0.0) - box.alarm_high
    most = min(1.0, max(0.0, (high - box.alarm_low) / upper)) if upper > 0 else 1.0
    least = min(1.0, max(0.0, (low - box.alarm_high) / lower)) if lower > 0 else 0.0
    return least, most


def called_different(true: float, box: ErrorBox, *, judge_alone: bool) -> float:
    """Return the largest share that is called different where `true` is the share that is."""
    return true * (1 - (box.miss_low if judge_alone else 0.0)) + (1 - true) * box.alarm_high
