"""What `firstline calibrate --scores` does: read, calibrate, and say in a sentence what came out."""

from pathlib import Path

import numpy as np

from firstline.orchestrator.quality.calibration.bounds import fewest_draws
from firstline.orchestrator.quality.calibration.scores import Scores, read_scores
from firstline.orchestrator.quality.calibration.threshold import Calibration, Target
from firstline.orchestrator.quality.calibration.two_stage import SPENT, search_all, search_two_stage
from firstline.schemas.errors import UserError

#: All rows are labelled: plain Learn-then-Test on the finest grid.
METHOD_ALL = "ltt-binomial"
#: Labels are a budget: drawn and read where they matter.
METHOD_BUDGET = "ltt-two-stage"


def run_scores(path: Path, max_loss: float, delta: float, labels: int | None = None, seed: int = 0) -> Calibration:
    """Calibrate on a CSV of scores; raises `UserError` for input that a person must mend."""
    return calibrate_scores(read_scores(path), max_loss=max_loss, delta=delta, labels=labels, seed=seed)


def calibrate_scores(
    scores: Scores, *, max_loss: float, delta: float, labels: int | None = None, seed: int = 0
) -> Calibration:
    """Return the lowest threshold whose loss is at most `max_loss` with probability `1 - delta`.

    With `labels`, no more than so many labels are looked at, of rows drawn by `seed`; without, all of them.
    """
    _refuse_settings(scores, max_loss, delta, labels)
    confidence = scores.confidence
    target = Target(max_loss, delta)

    right: list[float] = []

    def ask(row: int) -> bool:
        if not scores.loss[row]:
            right.append(float(confidence[row]))
        return bool(scores.loss[row])

    if labels is None or labels == len(scores):
        method = METHOD_ALL
        found = search_all(confidence, ask, target)
    else:
        method = METHOD_BUDGET
        order = np.random.default_rng(seed).permutation(len(scores))
        found = search_two_stage(confidence, ask, order, labels, target)
    # A few wrong answers alone may be within `max_loss` of all items, but accepting only those helps nobody.
    useful = found.threshold is not None and max(right, default=-np.inf) >= found.threshold
    threshold = found.threshold if useful else None
    return Calibration(
        method=method,
        threshold=threshold,
        labels_used=len(scores) if method == METHOD_ALL else found.labels_used,
        expected_frontier_share=1.0 if threshold is None else float((confidence < threshold).mean()),
        certified_max_loss=None if threshold is None else max_loss,
        delta=delta,
    )


def explain(calibration: Calibration, *, max_loss: float) -> str:
    """Return what a calibration means for a person, and what would help where it certified nothing."""
    sure = f"{1 - calibration.delta:.0%}"
    if calibration.threshold is None:
        spent = calibration.delta * (SPENT if calibration.method == METHOD_BUDGET else 1)
        return (
            f"Nothing could be certified with {calibration.labels_used} labels, so everything escalates. At least "
            f"{fewest_draws(max_loss, spent)} draws are needed to certify a loss of {max_loss:.1%} with {sure} "
            "confidence even if every answer is right. More labels, a larger --max-loss, a signal that ranks "
            "right answers above wrong ones, or a better cheap model would help."
        )
    return (
        f"Accept at confidence {calibration.threshold:.6g} or above: about "
        f"{calibration.expected_frontier_share:.1%} of items escalate, and with {sure} confidence at most "
        f"{max_loss:.1%} of all items are accepted wrong where the frontier is right "
        f"({calibration.labels_used} labels)."
    )


def _refuse_settings(scores: Scores, max_loss: float, delta: float, labels: int | None) -> None:
    for name, value in (("--max-loss", max_loss), ("--delta", delta)):
        if not 0 < value < 1:
            raise UserError(f"Expected {name} between 0 and 1, got {value}; 0.05 means 5%.")
    if labels is not None and not 1 <= labels <= len(scores):
        raise UserError(f"Expected --labels between 1 and the file's {len(scores)} rows, got {labels}.")
