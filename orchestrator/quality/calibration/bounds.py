"""Tail bounds of a count of losses, and what follows from them: critical counts and conditional error levels."""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


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


def conditional_levels(planned: int, drawn: int, rate: float, level: float) -> Floats:
    """Return, for k = 0..drawn losses seen so far, the level that is left for the rest of a planned test.

    The plan is the binomial test of `planned` draws, randomised on its boundary so that its level is `level` exactly.
    Its conditional rejection probability after `drawn` draws may be spent on any other test of the draws to come,
    chosen in the light of everything seen (the conditional error principle: Mueller and Schaefer 2001, "Adaptive
    group sequential designs for clinical trials", Biometrics 57). Non-increasing in k.
    """
    tails = binomial_tails(planned, rate)
    boundary = int(np.searchsorted(tails, level, side="right"))
    below = tails[boundary - 1] if boundary else 0.0
    share = (level - below) / (tails[boundary] - below)
    room = boundary - np.arange(drawn + 1)
    rest = np.concatenate([[0.0, 0.0], binomial_tails(planned - drawn, rate)])
    under, at = (rest[np.clip(room + shift, 0, len(rest) - 1)] for shift in (1, 2))
    levels: Floats = np.where(room < 0, 0.0, under + share * (at - under))
    return levels
