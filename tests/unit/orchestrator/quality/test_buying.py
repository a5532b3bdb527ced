"""Labels are bought as the walk down reads them; looks, tiers and models share one chance of error."""

import numpy as np
import pytest

from firstline.orchestrator.quality.calibration.bounds import fewest_draws
from firstline.orchestrator.quality.calibration.buying import certify
from firstline.orchestrator.quality.calibration.shares import delta_of_look, deltas_of
from firstline.orchestrator.quality.calibration.threshold import Target
from firstline.orchestrator.quality.calibration.two_stage import search_two_stage

TARGET = Target(0.05, 0.1)


def population(rows: int = 800, *, seed: int = 0):
    """Confidences, and which answers are lost: the surer, the rarer."""
    rng = np.random.default_rng(seed)
    confidence = rng.random(rows)
    return confidence, rng.random(rows) < 0.6 * (1 - confidence) ** 2


def bought(confidence, lost, *, labels: int = 200, free=None):
    rounds: list[int] = []

    def buy(numbers):
        rounds.append(len(numbers))
        return {n: bool(lost[n]) for n in numbers}

    return certify(confidence, buy, target=TARGET, labels=labels, seed=3, free=free), rounds


def test_labels_bought_in_rounds_find_the_threshold_of_labels_read_one_by_one():
    confidence, lost = population()
    found, rounds = bought(confidence, lost)
    rng = np.random.default_rng(3)
    order = rng.permutation(len(confidence))
    plain = search_two_stage(confidence, lambda row: bool(lost[row]), order, 200, TARGET, coin=rng.random())
    assert found.threshold == plain.threshold
    assert found.labels_used == sum(rounds) <= 200 + max(rounds)
    assert max(rounds) <= 40
    assert found.method == "ltt-two-stage"


def test_fewer_items_than_labels_are_all_weighed_by_the_plain_test():
    found, _ = bought(*population(150))
    assert found.method == "ltt-binomial"


def test_what_is_known_for_nothing_is_not_bought():
    confidence, lost = population()
    free = {n: False for n in range(len(confidence)) if not lost[n]}
    found, rounds = bought(confidence, lost, free=free)
    assert found.threshold == bought(confidence, lost)[0].threshold
    assert sum(rounds) < 40


def test_however_many_looks_and_models_there_are_delta_is_spent_once():
    assert sum(delta_of_look(0.1, look) for look in range(1, 60)) == pytest.approx(0.1)
    assert sum(sum(tier) for tier in deltas_of(0.1, [4, 1, 2])) == pytest.approx(0.1)


def test_trying_until_something_certifies_errs_no_more_often_than_delta():
    """Every answer is lost with a little more than the loss that is borne; five looks at it certified 20% at once."""
    rng = np.random.default_rng(1)
    misses = 0
    for _ in range(400):
        for look in range(1, 6):
            lost = rng.random(200) < 0.051
            confidence = rng.random(200)
            spent = Target(0.05, delta_of_look(0.1, look))
            found = certify(
                confidence,
                lambda numbers, lost=lost: {n: bool(lost[n]) for n in numbers},
                target=spent,
                labels=200,
                seed=0,
            )
            # A threshold at which the true loss is above what is borne: nearly all are accepted.
            if found.threshold is not None and 0.051 * (confidence >= found.threshold).mean() > 0.05:
                misses += 1
                break
    assert misses / 400 <= 0.1


def test_so_many_draws_it_takes_even_if_every_answer_is_right():
    assert fewest_draws(0.05, 0.1) == 45
