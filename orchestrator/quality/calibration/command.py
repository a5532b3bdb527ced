"""What `firstline calibrate --scores` does: read, calibrate, and say in a sentence what came out."""

from pathlib import Path

import numpy as np

from firstline.orchestrator.core.statistics import clopper_pearson
from firstline.orchestrator.quality.calibration.bounds import File, Source, fewest_draws, least_loss
from firstline.orchestrator.quality.calibration.scores import Scores, read_scores
from firstline.orchestrator.quality.calibration.threshold import Calibration, Promise, Target
from firstline.orchestrator.quality.calibration.two_stage import search_all, search_two_stage
from firstline.schemas.errors import UserError

#: All rows are labelled: plain Learn-then-Test on the finest grid.
METHOD_ALL = "ltt-binomial"
#: Labels are a budget: drawn and read where they matter.
METHOD_BUDGET = "ltt-two-stage"
#: The same, with a promise about the file's items alone.
METHOD_ITEMS = "ltt-two-stage-items"


_SPENT = {METHOD_ALL: 1.0, METHOD_BUDGET: Source.spent, METHOD_ITEMS: File.spent}


def run_scores(
    path: Path,
    max_loss: float,
    delta: float,
    labels: int | None = None,
    seed: int = 0,
    promise: Promise | None = None,
) -> Calibration:
    """Calibrate on a CSV of scores; raises `UserError` for input that a person must mend.

    With a budget of labels the promise is about the file's items, as most of them have no label; where all have one,
    only the next items are left to speak of.
    """
    scores = read_scores(path)
    some = labels is not None and labels < len(scores)
    chosen = promise or (Promise.ITEMS if some else Promise.SOURCE)
    return calibrate_scores(scores, max_loss=max_loss, delta=delta, labels=labels, seed=seed, promise=chosen)


def calibrate_scores(
    scores: Scores,
    *,
    max_loss: float,
    delta: float,
    labels: int | None = None,
    seed: int = 0,
    promise: Promise = Promise.SOURCE,
) -> Calibration:
    """Return the lowest threshold whose loss is at most `max_loss` with probability `1 - delta`.

    With `labels`, no more than so many labels are looked at, of rows drawn by `seed`; without, all of them. The promise
    is about the next items too, unless `promise` is `ITEMS`: then it is about the rows of `scores` alone, and reaches
    further with as many labels. This is the one entry to calibrating: pure, and stable in its signature.
    """
    _refuse_settings(scores, max_loss, delta, labels, promise)
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
        method = METHOD_ITEMS if promise is Promise.ITEMS else METHOD_BUDGET
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(scores))
        population = File(len(scores), max_loss) if promise is Promise.ITEMS else Source(max_loss)
        found = search_two_stage(confidence, ask, order, labels, target, population=population, coin=rng.random())
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


def feasibility(labels: int, *, max_loss: float, delta: float) -> str:
    """Return in a line what `labels` labels can certify at best, before any is paid: bounds at no loss at all."""
    least, needed = least_loss(labels, delta), fewest_draws(max_loss, delta)
    able = f"{max_loss:.1%} needs {needed} without a single loss"
    if labels < needed:
        able = f"{max_loss:.1%} cannot be certified with {labels}: it needs {needed} without a single loss"
    return f"with {labels} labels a loss of {least:.1%} is the least that can be certified; {able}"


def explain(calibration: Calibration, *, max_loss: float, scores: Scores | None = None) -> str:
    """Return what a calibration means for a person, and what would help where it certified nothing.

    `scores`, all labelled, let it say where no number of labels would help.
    """
    sure = f"{1 - calibration.delta:.0%}"
    if calibration.threshold is not None:
        return (
            f"Accept at confidence {calibration.threshold:.6g} or above: about "
            f"{calibration.expected_frontier_share:.1%} of items escalate, and with {sure} confidence at most "
            f"{max_loss:.1%} of all items are accepted wrong where the frontier is right "
            f"({calibration.labels_used} labels{_scope(calibration)})."
        )
    start = f"Nothing could be certified with {calibration.labels_used} labels, so everything escalates."
    if scores is not None and not can_carry(scores, max_loss):
        return (
            f"{start} This signal cannot carry {max_loss:.1%}: already among the answers that it is surest of, more "
            f"than that share of all items is lost, whatever the number of labels. More labels of another signal (or "
            "several, combined), a larger --max-loss or a better cheap model would help."
        )
    spent = calibration.delta * _SPENT[calibration.method]
    return (
        f"{start} At least {fewest_draws(max_loss, spent)} draws are needed to certify a loss of {max_loss:.1%} with "
        f"{sure} confidence even if every answer is right. More labels, a larger --max-loss, a signal that ranks "
        "right answers above wrong ones, or a better cheap model would help."
    )


def can_carry(scores: Scores, max_loss: float, *, delta: float = 0.05) -> bool:
    """Say whether labelled rows leave room for a threshold that accepts right answers at no more than `max_loss`.

    False only where the least loss that goes with accepting any right answer is above `max_loss` beyond doubt.
    """
    right = scores.confidence[~scores.loss]
    if not len(right):
        return False
    losses = int((scores.loss & (scores.confidence >= right.max())).sum())
    return clopper_pearson(losses, len(scores), level=1 - 2 * delta).low <= max_loss


def _scope(calibration: Calibration) -> str:
    return "; of the file's own items, not of the next ones" if calibration.method == METHOD_ITEMS else ""


def _refuse_settings(scores: Scores, max_loss: float, delta: float, labels: int | None, promise: Promise) -> None:
    for name, value in (("--max-loss", max_loss), ("--delta", delta)):
        if not 0 < value < 1:
            raise UserError(f"Expected {name} between 0 and 1, got {value}; 0.05 means 5%.")
    if labels is not None and not 1 <= labels <= len(scores):
        raise UserError(f"Expected --labels between 1 and the file's {len(scores)} rows, got {labels}.")
    if promise is Promise.ITEMS and labels in (None, len(scores)):
        raise UserError(
            "Expected --labels below the number of rows with --promise items: where every item has its label, nothing "
            "is left to promise about them. Leave --promise out to speak of the next items."
        )
