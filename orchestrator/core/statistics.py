"""Intervals of a share that was counted once: `37 of 40; 95% interval 80-98%`."""

import math
from collections.abc import Sequence
from statistics import NormalDist

from firstline.schemas.base import Frozen


class Proportion(Frozen):
    """A counted share with its two-sided interval."""

    successes: int
    trials: int
    low: float
    high: float
    level: float

    @property
    def share(self) -> float | None:
        """The share itself; None where nothing was tried."""
        return self.successes / self.trials if self.trials else None

    def __str__(self) -> str:
        return (
            f"{self.successes} of {self.trials}; {self.level:.0%} interval {100 * self.low:.0f}-{100 * self.high:.0f}%"
        )


class Difference(Frozen):
    """How much more often the second of two paired outcomes succeeds, in -1..1."""

    estimate: float
    low: float
    high: float
    level: float


def clopper_pearson(successes: int, trials: int, *, level: float = 0.95) -> Proportion:
    """Return the exact interval: covers with at least `level` whatever the true share (Clopper and Pearson 1934)."""
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = float(betaincinv(successes, trials - successes + 1, tail)) if successes else 0.0
    high = float(betaincinv(successes + 1, trials - successes, 1 - tail)) if successes < trials else 1.0
    return Proportion(successes=successes, trials=trials, low=low, high=high, level=level)


def wilson(successes: int, trials: int, *, level: float = 0.95) -> Proportion:
    """Return the score interval: shorter than the exact one, covers with `level` on average (Wilson 1927)."""
    if not trials:
        return Proportion(successes=0, trials=0, low=0.0, high=1.0, level=level)
    z2 = NormalDist().inv_cdf((1 + level) / 2) ** 2
    share = successes / trials
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = math.sqrt(z2 * (share * (1 - share) + z2 / (4 * trials)) / trials) / (1 + z2 / trials)
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return Proportion(successes=successes, trials=trials, low=low, high=high, level=level)


def paired_difference(only_first: int, only_second: int, pairs: int, *, level: float = 0.95) -> Difference | None:
    """Return the difference of two shares measured on the same `pairs` items, second minus first.

    `only_first` and `only_second` count the items where just one of the two succeeded. Wald interval with half a pair
    added to each cell (Agresti and Min 2005, "Simple improved confidence intervals for comparing matched
    proportions"). None without pairs.
    """
    if not pairs:
        return None
    total, first, second = pairs + 2, only_first + 0.5, only_second + 0.5
    centre = (second - first) / total
    error = math.sqrt(first + second - (second - first) ** 2 / total) / total
    half = NormalDist().inv_cdf((1 + level) / 2) * error
    return Difference(
        estimate=(only_second - only_first) / pairs,
        low=max(-1.0, centre - half),
        high=min(1.0, centre + half),
        level=level,
    )


def weighted_difference(parts: Sequence[tuple[Difference, float]]) -> Difference:
    """Return the difference over a whole from those of its parts, each measured on a sample of its own, with weights.

    Variances of independent parts add up (stratified sampling: Cochran 1977, "Sampling Techniques", chapter 5).
    """
    centre = sum(weight * (one.low + one.high) / 2 for one, weight in parts)
    half = math.sqrt(sum((weight * (one.high - one.low) / 2) ** 2 for one, weight in parts))
    return Difference(
        estimate=sum(weight * one.estimate for one, weight in parts),
        low=max(-1.0, centre - half),
        high=min(1.0, centre + half),
        level=min(one.level for one, _ in parts),
    )
