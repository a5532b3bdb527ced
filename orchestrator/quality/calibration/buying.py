"""A threshold sought while its labels are bought, a few at a time: none is paid for that could not be read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from firstline.orchestrator.quality.calibration.bounds import Floats, Ints
from firstline.orchestrator.quality.calibration.command import METHOD_ALL, METHOD_BUDGET
from firstline.orchestrator.quality.calibration.threshold import Calibration, Target
from firstline.orchestrator.quality.calibration.two_stage import Search, search_all, search_two_stage

#: Answers which of these rows are losses; each costs a label.
Buy = Callable[[Sequence[int]], Mapping[int, bool]]

#: Labels are bought in about so many rounds: each round is a job, and what the last one bought in vain is lost.
ROUNDS = 5


def certify(
    confidence: Floats, buy: Buy, *, target: Target, labels: int, seed: int, free: Mapping[int, bool] | None = None
) -> Calibration:
    """Return the lowest threshold whose loss is at most the target's, from at most about `labels` labels.

    `confidence` is of all rows, those that will never be labelled too; `free` says which are losses where that costs
    nothing. The promise is about the source that the rows come from, hence about the next items too.
    """
    shop = _Shop(buy, dict(free or {}), lot=max(1, -(-min(labels, len(confidence)) // ROUNDS)))
    if labels >= len(confidence):
        found = search_all(confidence, shop.ask, target, ahead=shop.look_ahead)
    else:
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(confidence))
        coin = rng.random()
        found = search_two_stage(confidence, shop.ask, order, labels, target, coin=coin, ahead=shop.look_ahead)
    bought = len(shop.known) - len(free or {})
    return _calibration(confidence, shop.known, found, bought, target=target, labels=labels)


@dataclass
class _Shop:
    """Buys labels as the walk asks for them, those that it would read next along with them."""

    buy: Buy
    known: dict[int, bool]
    lot: int
    coming: list[int] = field(default_factory=list)

    def look_ahead(self, rows: Ints) -> None:
        self.coming = [int(row) for row in rows]

    def ask(self, row: int) -> bool:
        if row not in self.known:
            ahead = self.coming[self.coming.index(row) :] if row in self.coming else [row]
            wanted = [other for other in ahead if other not in self.known]
            self.known.update(self.buy(wanted[: self.lot]))
        return self.known[row]


def _calibration(
    confidence: Floats, known: Mapping[int, bool], found: Search, bought: int, *, target: Target, labels: int
) -> Calibration:
    # A few wrong answers alone may be within `max_loss` of all items, but accepting only those helps nobody.
    best = max((float(confidence[row]) for row, lost in known.items() if not lost), default=-np.inf)
    threshold = found.threshold if found.threshold is not None and best >= found.threshold else None
    return Calibration(
        method=METHOD_ALL if labels >= len(confidence) else METHOD_BUDGET,
        threshold=threshold,
        labels_used=bought,
        expected_frontier_share=1.0 if threshold is None else float((confidence < threshold).mean()),
        certified_max_loss=None if threshold is None else target.max_loss,
        delta=target.delta,
    )
