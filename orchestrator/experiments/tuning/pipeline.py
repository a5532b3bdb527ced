"""From rows and a budget of labels to one certified pipeline, or to the plain statement that the top model stands."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from firstline.orchestrator.experiments.tuning.answers import Answers, Ints, Source
from firstline.orchestrator.experiments.tuning.choice import (
    DRAWS,
    UNLABELLED,
    Choice,
    Point,
    Prospect,
    choose,
    curve_of,
    labels_to_choose,
)
from firstline.orchestrator.experiments.tuning.loss_model import learn
from firstline.orchestrator.quality.calibration.bounds import fewest_draws
from firstline.orchestrator.quality.calibration.labels import NO_CONFIDENCE
from firstline.orchestrator.quality.calibration.threshold import Target
from firstline.orchestrator.quality.calibration.two_stage import search_two_stage

#: Rows that a candidate answers for its certificate, for each label that is left: a row that is drawn and lies below
#: the threshold needs no label.
DRAWN = 3
#: Standard deviations by which a measured cost must lie below the top model's.
SURE = 2.0


@dataclass(frozen=True)
class Saving:
    """What a pipeline costs beside the top model alone, by the rows drawn, with a 95% interval."""

    cost_share: float
    low: float
    high: float
    #: Share of the rows that climb to the top model.
    climbing: float


@dataclass(frozen=True)
class TuningResult:
    """What the tuning came to."""

    #: None: the top model answers everything, as before.
    candidate: str | None
    #: Accept from this confidence on; `NO_CONFIDENCE`: every usable answer, the candidate replaces the top model.
    threshold: float | None
    saving: Saving | None
    prospects: tuple[Prospect, ...]
    labels: int
    #: Why there is no pipeline; empty where there is one.
    reason: str = ""
    #: Of the candidate that was to be certified, named where it failed.
    tried: str | None = None
    #: Its cost over its loss, the safest threshold first; estimated from every label there is.
    curve: tuple[Point, ...] = ()

    @property
    def replaces_top(self) -> bool:
        """Whether the candidate answers everything."""
        return self.threshold == NO_CONFIDENCE


def tune(source: Source, labels: int, target: Target, *, seed: int = 0) -> TuningResult:
    """Choose the pipeline that costs least and certify it with at most `labels` labels in all.

    With probability `1 - target.delta` at most `target.max_loss` of all items are accepted although they are lost. The
    labels and rows of the certificate are none that the choosing saw, so the choice needs no correction.
    """
    rng = np.random.default_rng(seed)
    order: Ints = rng.permutation(source.rows).astype(np.int64)
    coin = float(rng.random())
    refused = infeasible(len(source.candidates), source.rows, labels, target)
    if refused:
        return TuningResult(None, None, None, (), 0, refused)
    choice = choose(source, order, labels, target, seed=seed)
    if choice.best is None:
        reason = "no cheaper model is likely to save anything at this loss"
        return TuningResult(None, None, None, choice.prospects, choice.labels, reason)
    left = labels - choice.labels
    rows = order[len(choice.seen) :][: DRAWN * left]
    answers = source.answers(choice.best, rows)
    labelled: list[int] = []
    before = source.labelled
    found = search_two_stage(
        answers.confidence,
        partial(_ask, source, choice.best, rows, labelled),
        np.arange(len(rows)),
        left,
        target,
        coin=coin,
        ahead=lambda places: source.expect(rows[places]),
        bought=lambda: source.labelled - before,
    )
    # What other steps have labelled is read for nothing; what was bought in vain was paid for.
    used = choice.labels + max(found.labels_used, source.labelled - before)
    curve = _curve(source, choice, rows, labelled)
    if found.threshold is None:
        reason = f"{choice.best} is the likeliest, but no threshold of it could be certified with {left} labels"
        return TuningResult(None, None, None, choice.prospects, used, reason, choice.best, curve)
    usable = np.isfinite(answers.confidence)
    threshold = NO_CONFIDENCE if (answers.confidence[usable] >= found.threshold).all() else found.threshold
    own = source.answers(choice.best, choice.seen[: len(choice.top_usd)])
    saving = measured(answers, threshold, float(choice.top_usd.sum() / own.cost_usd.sum()))
    if saving.high >= 1:
        reason = f"{choice.best} is certified, but at {saving.cost_share:.0%} of the top model's cost"
        return TuningResult(None, None, None, choice.prospects, used, reason, choice.best, curve)
    return TuningResult(choice.best, threshold, saving, choice.prospects, used, tried=choice.best, curve=curve)


def rows_needed(labels: int) -> int:
    """Return the rows that a tuning looks at, at most."""
    count = labels_to_choose(labels)
    return count * (1 + UNLABELLED) + DRAWN * (labels - count)


def infeasible(candidates: int, rows: int, labels: int, target: Target) -> str:
    """Return why nothing can be certified, before anything is paid; empty where something may be."""
    if not candidates:
        return "no cheaper model is offered; name one below the top tier"
    needed = fewest_draws(target.max_loss, target.delta)
    left = min(labels, rows) - labels_to_choose(min(labels, rows))
    if left < needed:
        return (
            f"a loss of {target.max_loss:.1%} needs {needed} labels without a single loss beside those that choose; "
            f"{min(labels, rows)} labels leave {left}"
        )
    return ""


def _ask(source: Source, candidate: str, rows: Ints, labelled: list[int], at: int) -> bool:
    """Label a row, and note its place among the labelled ones."""
    row = rows[at : at + 1]
    source.label(row)
    labelled.append(at)
    return bool(source.lost(candidate, row)[0])


def _curve(source: Source, choice: Choice, rows: Ints, labelled: list[int]) -> tuple[Point, ...]:
    """Return the best candidate's cost over its loss, on all rows that it answered, by all labels there are."""
    assert choice.best is not None
    known = np.concatenate([choice.seen[: len(choice.top_usd)], rows[labelled]])
    others = np.setdiff1d(rows, rows[labelled])
    answers = source.answers(choice.best, np.concatenate([known, others]))
    loss = learn({choice.best: answers}, {choice.best: source.lost(choice.best, known)}, draws=DRAWS, seed=0)
    one = next(one for one in choice.prospects if one.candidate == choice.best)
    signal = one.price_share * float(answers.confidence_usd.sum() / max(answers.cost_usd.sum(), 1e-12))
    return curve_of(answers.confidence, loss[choice.best].mean(axis=0), price=one.price_share, signal=signal)


def measured(answers: Answers, threshold: float, top_of_own: float) -> Saving:
    """Return what a pipeline costs beside the top model, by rows that the candidate answered.

    `top_of_own`: the top model's dollars for one of the candidate's, which says what a row would cost there.
    """
    own, top = answers.cost_usd, answers.cost_usd * top_of_own
    accepted = answers.confidence >= threshold
    signal = np.zeros(len(answers)) if threshold == NO_CONFIDENCE else answers.confidence_usd
    paid = own + signal + np.where(accepted, 0.0, top)
    share = float(paid.sum() / top.sum())
    # The ratio's standard error by its linearisation.
    error = float(np.std(paid - share * top) / np.sqrt(len(answers)) / top.mean())
    return Saving(share, share - SURE * error, share + SURE * error, float(1 - accepted.mean()))
