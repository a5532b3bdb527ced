"""Choosing and certifying a pipeline on recorded answers."""

import numpy as np
import pytest

from bench.kit.simulated_models import simulated
from firstline.orchestrator.experiments.tuning.answers import Answers
from firstline.orchestrator.experiments.tuning.pipeline import infeasible, tune
from firstline.orchestrator.experiments.tuning.recorded import Column, RecordedSource, Records
from firstline.orchestrator.quality.calibration.labels import NO_CONFIDENCE
from firstline.orchestrator.quality.calibration.threshold import Target

TARGET = Target(0.05, 0.1)


def _records(rows=1000, *, seed=0, right=0.99, price=0.1, confidence=None, models=1):
    rng = np.random.default_rng(seed)
    columns = {}
    for number in range(models):
        correct = rng.random(rows) < right
        sure = np.where(correct, rng.beta(5, 2, rows), rng.beta(2, 5, rows)) if confidence is None else confidence
        columns[f"m{number}"] = Column(
            Answers(
                np.broadcast_to(sure, rows).astype(float),
                correct.astype(np.int64),
                np.full(rows, price),
                np.zeros(rows),
            ),
            correct,
        )
    ones = np.ones(rows)
    top = Column(Answers(ones, ones.astype(np.int64), ones, ones * 0), np.ones(rows, dtype=bool))
    return Records("top", {**columns, "top": top})


def _true_loss(records, found):
    accepted = records.columns[found.candidate].answers.confidence >= found.threshold
    return float((accepted & records.losses(found.candidate)).mean())


@pytest.mark.parametrize("kind", ["mixed", "strong", "weak", "useless_signal"])
def test_the_loss_is_missed_no_more_often_than_promised_although_the_best_was_chosen(kind):
    records = simulated(kind, 3)
    found = [tune(RecordedSource(records), 200, TARGET, seed=seed) for seed in range(30)]
    missed = sum(one.candidate is not None and _true_loss(records, one) > TARGET.max_loss for one in found)
    # More than 6 of 30 at a rate of 10% would be an accident of 1 in 40.
    assert missed <= 6


def test_labels_are_kept_to():
    source = RecordedSource(simulated("mixed", 4))
    found = tune(source, 200, TARGET)
    assert source.labelled == found.labels <= 200


class InLots(RecordedSource):
    """A source that buys labels forty at a time, as far as it heard which come next."""

    def expect(self, rows):
        self.coming = [int(row) for row in rows]

    def label(self, rows):
        found = super().label(rows)
        if len(rows) == 1 and int(rows[0]) in getattr(self, "coming", ()):
            at = self.coming.index(int(rows[0]))
            super().label(np.array(self.coming[at : at + min(40, 201 - self.labelled)]))
        return found


@pytest.mark.parametrize("kind", ["mixed", "weak"])
def test_labels_are_kept_to_where_some_are_bought_in_vain(kind):
    for seed in range(20):
        source = InLots(simulated(kind, 4))
        found = tune(source, 200, TARGET, seed=seed)
        assert source.labelled == found.labels <= 200


class Taught(RecordedSource):
    """A source whose first model answers as another column does once its prompt shows examples."""

    shows = 6

    def with_examples(self, candidate, rows):
        self.shown = [int(row) for row in rows]
        return "taught" if candidate == "m0" else None

    @property
    def candidates(self):
        return ("m0",)

    def answers(self, candidate, rows):
        assert not set(map(int, rows)) & set(getattr(self, "shown", ()))
        return super().answers(candidate, rows)


def _taught(right: float, price: float = 0.12) -> Taught:
    records, others = _records(right=0.6), _records(right=right, price=price, seed=1)
    return Taught(Records("top", {**records.columns, "taught": others.columns["m0"]}))


def test_examples_that_make_a_model_better_are_certified_with_it():
    source = _taught(0.99)
    found = tune(source, 200, TARGET)
    assert found.candidate == "taught"
    assert len(source.shown) == 6
    assert source.labelled == found.labels <= 200


def test_examples_that_change_nothing_are_not_taken():
    found = [tune(_taught(0.6, price=0.1), 200, TARGET, seed=seed) for seed in range(10)]
    assert sum(one.candidate == "taught" for one in found) <= 3


def test_a_model_that_is_nearly_always_right_replaces_the_top_one():
    found = tune(RecordedSource(_records(right=0.995, confidence=NO_CONFIDENCE)), 200, TARGET)
    assert found.replaces_top
    assert found.saving is not None
    assert found.saving.cost_share == pytest.approx(0.1)


def test_a_model_without_confidence_that_is_often_wrong_is_not_taken():
    found = tune(RecordedSource(_records(right=0.7, confidence=NO_CONFIDENCE)), 200, TARGET)
    assert found.candidate is None
    assert found.reason


def test_models_as_dear_as_the_top_one_are_not_taken():
    found = tune(RecordedSource(_records(price=1.0, models=3)), 200, TARGET)
    assert found.candidate is None


@pytest.mark.parametrize("labels", [1, 2, 12, 40])
def test_too_few_labels_are_said_before_anything_is_paid(labels):
    source = RecordedSource(_records())
    found = tune(source, labels, TARGET)
    assert found.candidate is None
    assert "needs 45 labels" in found.reason
    assert source.spent_usd == 0


def test_no_cheaper_model_is_said():
    assert "no cheaper model" in infeasible(0, 1000, 200, TARGET)


def test_all_models_equal_gives_a_pipeline_of_one_of_them():
    found = tune(RecordedSource(_records(right=0.9, models=5)), 200, TARGET)
    assert found.candidate is not None
    assert found.saving is not None
    assert found.saving.high < 1


def test_the_cost_is_never_above_the_top_model():
    for seed in range(20):
        records = simulated("weak", seed)
        found = tune(RecordedSource(records), 200, TARGET, seed=seed)
        if found.candidate is None:
            continue
        answers = records.columns[found.candidate].answers
        climbs = answers.confidence < found.threshold
        paid = answers.cost_usd + answers.confidence_usd + np.where(climbs, records.top_usd, 0.0)
        assert paid.sum() <= records.top_usd.sum()


def test_the_same_seed_gives_the_same_pipeline():
    records = simulated("mixed", 5)
    assert tune(RecordedSource(records), 200, TARGET, seed=7) == tune(RecordedSource(records), 200, TARGET, seed=7)
