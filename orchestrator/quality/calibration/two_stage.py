"""Our method: Learn-then-Test that spends its labels only where they can matter.

A row whose confidence lies below the threshold cannot be a loss there, so its label tells nothing. Rows are therefore
drawn at random and read from the most confident down: a draw that is not read costs no label and still counts as a
draw. With a share A accepted, n labels buy a binomial test of n / A draws instead of n.

How many draws the budget reaches is not known before some labels are seen, so it is done in two stages. The plan is the
plain test of as many draws as there are labels. The pilot takes the first half of it; then the rest of the plan is
exchanged for a larger one that the remaining labels can pay, tested at the conditional level that the pilot left
(`bounds.conditional_levels`). The loss is monotone in the threshold and so are both tests, hence the walk down needs
no correction for multiple thresholds: it errs only if the highest bad threshold passes, which has probability delta.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from firstline.orchestrator.quality.calibration.bounds import (
    Floats,
    Ints,
    Population,
    Source,
    conditional_levels,
    critical_count,
    fewest_draws,
    most_losses,
)
from firstline.orchestrator.quality.calibration.threshold import Target

#: Tells whether accepting this row is a loss; each call costs a label.
Ask = Callable[[int], bool]
#: Hears which rows will be asked about next.
Ahead = Callable[[Ints], None]

#: Share of the plan, and of the labels, that goes to the pilot.
PILOT = 0.5
#: The walk will likely end where the pilot's own loss is this share of `max_loss`: a test allows less than the target.
LIKELY = 0.9
#: Share of items below the likely threshold that the labels shall still reach: stopping for want of labels costs more
#: than a few labels left over.
REACH = 0.05


@dataclass(frozen=True)
class Search:
    """Where the walk down ended."""

    #: None: nothing could be certified.
    threshold: float | None
    labels_used: int
    #: Rows drawn, read or not.
    drawn: int


@dataclass(frozen=True)
class _Reading:
    """What reading some drawn rows from the top down brought."""

    #: Confidences of all rows drawn, read or not, lowest first.
    seen: Floats
    #: Confidences of the losses found, highest first.
    losses: Floats
    #: Only thresholds above this confidence have all their rows read, and were not refuted.
    above: float
    labels: int

    def counts(self, at: Floats) -> Ints:
        """Return how many losses are accepted at each threshold."""
        found: Ints = np.searchsorted(-self.losses, -at, side="right").astype(np.int64)
        return found


def search_all(confidence: Floats, ask: Ask, target: Target, *, ahead: Ahead = lambda rows: None) -> Search:
    """Walk down with every row drawn and every label to be had."""
    rows = len(confidence)
    most = critical_count(rows, target.max_loss, target.delta)
    reading = _read(confidence, np.arange(rows), ask, lambda _: most, budget=rows, ahead=ahead)
    passed = confidence[confidence > reading.above]
    threshold = float(passed.min()) if len(passed) and most >= 0 else None
    return Search(threshold, reading.labels, rows)


def search_two_stage(
    confidence: Floats,
    ask: Ask,
    order: Ints,
    labels: int,
    target: Target,
    *,
    population: Population | None = None,
    coin: float = 1.0,
    ahead: Ahead = lambda rows: None,
    bought: Callable[[], int] | None = None,
) -> Search:
    """Walk down with at most `labels` labels of rows drawn in the random `order`.

    The promise is about `population`; by default the source that the rows come from, hence about the next items too.
    With `coin`, an even number in 0..1, the second test's level is exact; without, it is on the cautious side. `ahead`
    is told which rows are read next, in their order, as far as the walk gets: labels that cost a call each may be
    bought together; `bought` tells how many were, so that those which the pilot did not read count as well.
    """
    known = population or Source(target.max_loss)
    level = known.spent * target.delta
    planned = max(labels, min(len(order), fewest_draws(target.max_loss, level)))
    drawn = max(1, round(PILOT * planned))
    levels = conditional_levels(known, planned, drawn, level)
    possible = int((levels > 0).sum()) - 1
    pilot = _read(confidence, order[:drawn], ask, lambda _: possible, budget=max(1, round(PILOT * labels)), ahead=ahead)

    left = max(0, labels - (bought() if bought is not None else pilot.labels))
    more = _extension(pilot, levels, left, len(order) - drawn, target.max_loss)
    allowed = np.array(
        [
            most_losses(known.tails(more, drawn=drawn, losses=losses), at, coin) if at > 0 else -1
            for losses, at in enumerate(levels)
        ]
    )

    def most(at: float) -> int:
        return int(allowed[pilot.counts(np.array([at]))[0]])

    rest = _read(confidence, order[drawn : drawn + more], ask, most, budget=left, ahead=ahead)
    candidates = np.unique(confidence[confidence > max(pilot.above, rest.above)])
    passed = candidates[rest.counts(candidates) <= allowed[pilot.counts(candidates)]]
    return Search(float(passed[0]) if len(passed) else None, pilot.labels + rest.labels, drawn + more)


def _read(
    confidence: Floats, rows: Ints, ask: Ask, most: Callable[[float], int], *, budget: int, ahead: Ahead
) -> _Reading:
    """Read rows from the most confident down, until they hold more losses than `most` allows or labels run out."""
    seen = np.sort(confidence[rows])
    losses: list[float] = []
    labels = 0
    above = -np.inf
    queue = rows[np.argsort(-confidence[rows], kind="stable")]
    ahead(queue[:budget])
    for row in queue:
        at = float(confidence[row])
        if labels < budget and len(losses) <= most(at):
            labels += 1
            if ask(int(row)):
                losses.append(at)
            if len(losses) <= most(at):
                continue
        above = at
        break
    return _Reading(seen, np.array(losses), above, labels)


def _extension(pilot: _Reading, levels: Floats, left: int, available: int, max_loss: float) -> int:
    """Choose how many more rows to draw, so that the labels left reach a little below where the walk will likely end.

    Looks only at rows already drawn: the draws to come must not have a say in their own number.
    """
    drawn = len(pilot.seen)
    candidates = np.unique(pilot.seen[pilot.seen > pilot.above])
    losses = pilot.counts(candidates)
    shares = 1 - np.searchsorted(pilot.seen, candidates, side="left") / drawn
    draws = np.minimum(left / np.minimum(shares + REACH, 1), available).astype(np.int64)
    likely = losses <= LIKELY * max_loss * drawn
    provable = (1 - max_loss) ** draws <= levels[losses]
    fit = draws[likely & provable]
    return int(fit[0]) if len(fit) else available
