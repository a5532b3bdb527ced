"""Tail bounds of a count of losses, and what follows from them: critical counts and conditional error levels."""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Keeps `0.05 * 200` from falling below 10 by rounding.
_EPSILON = 1e-9


def binomial_tails(draws: int, rate: float) -> Floats:
    """Return P(X <= k) for k = 0..draws, X ~ Binomial(draws, rate).

    This is the exact p-value of "the loss rate exceeds `rate`" after k losses. For 0/1 losses no bound is tighter:
    Hoeffding-Bentkus and betting bounds, made for losses anywhere in 0..1, lie above it (Bates et al. 2021,
    "Distribution-Free, Risk-Controlling Prediction Sets").
    """
    # Of scipy only `special` is loaded, and only here: `scipy.stats` would cost a second at start.
    from scipy.special import bdtr

    tails: Floats = bdtr(np.arange(draws + 1), draws, rate)
    return tails


def critical_count(draws: int, rate: float, level: float) -> int:
    """Return the most losses that still refute "the loss rate exceeds `rate`" at `level`; -1 if even none would not."""
    return int(np.searchsorted(binomial_tails(draws, rate), level, side="right")) - 1


def fewest_draws(rate: float, level: float) -> int:
    """Return how many draws without any loss it takes to refute a loss rate above `rate` at `level`."""
    return math.ceil(math.log(level) / math.log1p(-rate))


def least_loss(draws: int, level: float) -> float:
    """Return the least loss rate that so many draws without any loss can certify at `level`."""
    return 1.0 - float(level ** (1 / draws))


class Population(Protocol):
    """What a promise is about, at the fewest losses that would break it: the hardest case that a test must refuse."""

    @property
    def spent(self) -> float:
        """Share of delta to spend; the rest is kept for what theory leaves out, such as rows that are alike."""
        ...

    def tails(self, draws: int, *, drawn: int = 0, losses: int = 0) -> Floats:
        """Return P(at most k losses in `draws` draws), k = 0..draws, after `losses` losses in `drawn` draws."""
        ...


@dataclass(frozen=True)
class Source:
    """The stream that the rows come from: further items are promised for too, and draws do not use it up."""

    rate: float
    spent: float = 0.95

    def tails(self, draws: int, *, drawn: int = 0, losses: int = 0) -> Floats:
        """Return binomial tails, whatever was drawn before."""
        del drawn, losses
        return binomial_tails(draws, self.rate)


@dataclass(frozen=True)
class File:
    """Exactly these rows: what was drawn is known and cannot be drawn again."""

    rows: int
    max_loss: float
    #: More is kept back: among a few hundred rows the worst case is often met exactly.
    spent: float = 0.65

    def tails(self, draws: int, *, drawn: int = 0, losses: int = 0) -> Floats:
        """Return hypergeometric tails of what is left of the rows; all 1 where fewer losses are left than none."""
        bad = math.floor(self.max_loss * self.rows + _EPSILON) + 1 - losses
        return _hypergeometric_tails(self.rows - drawn, max(0, bad), draws)


def _hypergeometric_tails(rows: int, bad: int, draws: int) -> Floats:
    from scipy.special import gammaln

    def log_choose(n: int | Ints, k: Ints) -> Floats:
        chosen: Floats = gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)
        return chosen

    k = np.arange(draws + 1)
    possible = (k <= bad) & (draws - k <= rows - bad)
    at = k[possible]
    chances = np.zeros(draws + 1)
    whole = log_choose(rows, np.array([draws]))
    chances[possible] = np.exp(log_choose(bad, at) + log_choose(rows - bad, draws - at) - whole)
    return np.minimum(np.cumsum(chances), 1.0)


def conditional_levels(population: Population, planned: int, drawn: int, level: float) -> Floats:
    """Return, for k = 0..drawn losses seen so far, the level that is left for the rest of a planned test.

    The plan is the exact test of `planned` draws, randomised on its boundary so that its level is `level` exactly. Its
    conditional rejection probability after `drawn` draws may be spent on any other test of the draws to come, chosen
    in the light of everything seen (the conditional error principle: Mueller and Schaefer 2001, "Adaptive group
    sequential designs for clinical trials", Biometrics 57). Non-increasing in k.
    """
    tails = population.tails(planned)
    boundary = int(np.searchsorted(tails, level, side="right"))
    below = tails[boundary - 1] if boundary else 0.0
    share = (level - below) / (tails[boundary] - below)
    levels = np.zeros(drawn + 1)
    for losses in range(min(boundary, drawn) + 1):
        rest = np.concatenate([[0.0], population.tails(planned - drawn, drawn=drawn, losses=losses)])
        under, at = (rest[min(boundary - losses + more, len(rest) - 1)] for more in (0, 1))
        levels[losses] = under + share * (at - under)
    return levels


def most_losses(tails: Floats, level: float, coin: float) -> int:
    """Return the most losses that a test at exactly `level` allows; -1: not even none.

    A count moves in steps, so a level lies between two of them: the `coin`, even in 0..1 and tossed before, takes the
    higher one just as often as makes the test's level exact.
    """
    most = int(np.searchsorted(tails, level, side="right")) - 1
    if most + 1 >= len(tails):
        return most
    below = float(tails[most]) if most >= 0 else 0.0
    return most + int(coin < (level - below) / (float(tails[most + 1]) - below))
