"""BARGAIN's accuracy-target query (Zeighami et al. 2025) on recorded scores, held to a budget of labels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from firstline.orchestrator.quality.calibration.scores import Scores
from firstline.orchestrator.quality.calibration.threshold import Target


class _OutOfLabels(Exception):
    """The oracle has answered as often as it may."""


def bargain_accepts(scores: Scores, target: Target, *, labels: int, seed: int) -> NDArray[np.bool_]:
    """Return which rows BARGAIN would accept: it ranks them, and may part rows of equal confidence.

    Its accuracy target over all records, with the oracle's own answers counted as right, is the same loss as ours:
    target = 1 - max_loss. The package has no budget: it samples until it is sure or gives up. Here the query ends
    where the labels do, keeping the last rank that it was sure of. Raises ImportError without the package.
    """
    query = _query(scores, labels, target=1 - target.max_loss, delta=target.delta, verbose=False, seed=seed)
    # Its betting bound divides by a mean that may reach zero, and clips the result.
    with np.errstate(divide="ignore"):
        query.process([""] * len(scores))
    accepted = np.zeros(len(scores), dtype=np.bool_)
    # The package's own order, ties included.
    accepted[np.argsort(scores.confidence)[::-1][: query.passed + 1]] = True
    return accepted


def _query(scores: Scores, labels: int, **settings: Any) -> Any:
    from BARGAIN import BARGAIN_A, Oracle, Proxy

    class RecordedProxy(Proxy):  # type: ignore[misc]
        """The cheap model: every record's answer is 0, its score the recorded confidence."""

        def get_preds_and_scores(self, indxs: Any, data_records: Any) -> Any:
            return np.zeros(len(indxs), dtype=int), scores.confidence[np.asarray(indxs, dtype=int)]

    class RecordedOracle(Oracle):  # type: ignore[misc]
        """The frontier: counts each label it is asked for, once a record."""

        def is_answer_correct(self, data_indxs: Any, data_records: Any, proxy_output_at_indxs: Any) -> Any:
            self.cached_validations.update(dict.fromkeys((int(index) for index in data_indxs), True))
            if len(self.cached_validations) > labels:
                raise _OutOfLabels
            return ~scores.loss[np.asarray(data_indxs, dtype=int)]

        def get_pred(self, data_records: Any, indxs: Any = None) -> Any:
            return np.zeros(len(data_records), dtype=int)

    sample = "_BARGAIN_A__sample_till_confident_above_target"

    class BudgetedQuery(BARGAIN_A):  # type: ignore[misc]
        """The package's query, stopped by the budget; remembers the last rank it was sure of."""

        passed: int = -1

    def sample_within_budget(self: Any, *arguments: Any) -> Any:
        rank = arguments[5]
        try:
            sure, rows, total = getattr(BARGAIN_A, sample)(self, *arguments)
        except _OutOfLabels:
            return False, np.array([], dtype=int), 0
        self.passed = rank if sure else self.passed
        return sure, rows, total

    setattr(BudgetedQuery, sample, sample_within_budget)
    return BudgetedQuery(RecordedProxy(verbose=False), RecordedOracle(verbose=False), **settings)
