"""Free text under a judge that is wrong at times, for `bench/promises.py`: whether certificates and live losses hold.

A judge calls the same different and the different the same with a known probability, by a coin for each pair. It is
measured on labelled pairs as `firstline judge` does, and everything that rests on its word goes through the code that
audits and `firstline calibrate` use.
"""

from functools import partial

import numpy as np

from firstline.orchestrator.quality.calibration.audit import live_loss
from firstline.orchestrator.quality.calibration.buying import certify
from firstline.orchestrator.quality.calibration.labels import Truth
from firstline.orchestrator.quality.calibration.shares import delta_of_look
from firstline.orchestrator.quality.calibration.threshold import Target
from firstline.orchestrator.quality.judge.error import JudgeError
from firstline.schemas.comparator import Comparator

#: Labelled pairs of either kind, and items that a run serves.
PAIRS, SERVED = 100, 20_000
#: Audits of a run, looked at after each so many.
AUDITS, EVERY = 400, 25
_PROSE = {"text": Comparator(by="judge")}


def called(lost: np.ndarray, accuracy: float, rng: np.random.Generator) -> np.ndarray:
    """Return which pairs a judge of that accuracy calls different."""
    wrong = rng.random(len(lost)) >= accuracy
    return lost ^ wrong


def measured(accuracy: float, rng: np.random.Generator) -> JudgeError:
    """Return a judge's errors on labelled pairs."""
    alarms, found = (called(np.full(PAIRS, kind), accuracy, rng) for kind in (False, True))
    return JudgeError(same=PAIRS, alarms=int(alarms.sum()), different=PAIRS, missed=int((~found).sum()))


def certified_run(
    model: tuple[float, float], accuracy: float, rng: np.random.Generator, *, max_loss: float, delta: float, labels: int
) -> tuple[float, float, float]:
    """Return the delivered loss, what was claimed, and the share that was served below the top tier."""
    truth = Truth(fields=_PROSE, error=measured(accuracy, rng))
    confidence, lost = _answers(*model, 4 * labels, rng)
    heard = called(lost, accuracy, rng)
    target = truth.through(Target(max_loss, delta_of_look(delta, 1)))
    found = certify(confidence, partial(_labels, heard), target=target, labels=labels, seed=int(rng.integers(2**31)))
    sure, wrong = _answers(*model, SERVED, rng)
    accepted = sure >= found.threshold if found.threshold is not None else np.zeros(SERVED, dtype=bool)
    claimed = max_loss if found.threshold is not None else 0.0
    return float((accepted & wrong).mean()), claimed, float(accepted.mean())


def audited_run(
    loss: float, accuracy: float, rng: np.random.Generator, *, max_loss: float, delta: float = 0.05, known: bool = True
) -> tuple[bool, bool]:
    """Return whether the true loss was ever outside of the live loss's interval, and whether drift was ever flagged.

    `known` false: the judge is taken at its word, as if it made no mistakes.
    """
    error = measured(accuracy, rng)
    outcomes = [bool(one) for one in called(rng.random(AUDITS) < loss, accuracy, rng)]
    missed = flagged = False
    for count in range(EVERY, AUDITS + 1, EVERY):
        seen = live_loss(
            outcomes[:count],
            accepted=count,
            answered=count,
            max_loss=max_loss,
            delta=delta,
            judge=error if known else None,
            judge_alone=True,
        )
        missed |= not seen.low <= loss <= seen.high
        flagged |= seen.drifted(max_loss)
    return missed, flagged


def _answers(accuracy: float, sharp: float, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    lost = rng.random(count) < 2 * (1 - accuracy) * rng.random(count)
    return 1 / (1 + np.exp(sharp * lost - rng.normal(size=count))), lost


def _labels(lost: np.ndarray, rows: list[int]) -> dict[int, bool]:
    return {row: bool(lost[row]) for row in rows}
