"""Which signal tells right from wrong, and when several together tell more."""

import math
import random

import numpy as np
import pytest

from firstline.orchestrator.quality.calibration.combination import choose_signal, labels_to_learn, separation
from firstline.schemas.policy import COMBINED, Confidence, Threshold
from firstline.workers.rules.combined_signal import as_asked, combined


def squashed(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def answers(count: int, *, noise: float, seed: int = 1):
    """Two signals, each of which sees half of what makes an answer wrong, and a coin."""
    rng = random.Random(seed)
    known, lost = [], []
    for _ in range(count):
        one, other = rng.gauss(0, 1), rng.gauss(0, 1)
        known.append(
            {
                "margin": squashed(one + rng.gauss(0, noise)),
                "agreement": squashed(other + rng.gauss(0, noise)),
                "coin": rng.random(),
                "answer_chars": rng.random() * 5,
            }
        )
        lost.append(one + other + rng.gauss(0, 0.3) < -0.5)
    return known, lost


def test_what_two_signals_see_by_halves_their_combination_sees_whole():
    chosen = choose_signal(*answers(120, noise=0.2), ["margin", "agreement", "coin"])
    assert chosen.signal == COMBINED
    assert chosen.combination is not None
    fresh, lost = answers(4000, noise=0.2, seed=9)
    scores = np.array([combined(chosen.combination, one) for one in fresh])
    best = max(separation(name, np.array([one[name] for one in fresh]), np.array(lost)).auroc for name in fresh[0])
    assert separation(COMBINED, scores, np.array(lost)).auroc > best + 0.1


def test_a_combination_that_gains_nothing_is_not_taken():
    rng = random.Random(3)
    known = [{"margin": rng.random(), "coin": rng.random()} for _ in range(100)]
    lost = [one["margin"] + rng.gauss(0, 0.1) < 0.3 for one in known]
    chosen = choose_signal(known, lost, ["coin", "margin"])
    assert (chosen.signal, chosen.combination) == ("margin", None)
    worth = {one.signal: one for one in chosen.separations}
    assert worth["coin"].is_useless
    assert "which may be a coin" in str(worth["coin"])
    assert not worth["margin"].is_useless


@pytest.mark.parametrize("losses", [0, 4, 100])
def test_with_too_few_of_a_kind_the_first_signal_stands(losses):
    known = [{"margin": 0.5, "coin": 0.1}] * 100
    chosen = choose_signal(known, [at < losses for at in range(100)], ["margin", "coin"])
    assert (chosen.signal, chosen.combination) == ("margin", None)


def test_few_labels_are_all_kept_for_the_certificate():
    assert (labels_to_learn(200, 2), labels_to_learn(100, 2), labels_to_learn(200, 1)) == (50, 0, 0)


def test_an_area_and_its_interval_are_those_of_the_literature():
    # Hanley and McNeil's 58 normal and 51 abnormal images: an area of 0.893 with a standard error of 0.032.
    normal = np.repeat([1, 2, 3, 4, 5], [33, 6, 6, 11, 2])
    abnormal = np.repeat([1, 2, 3, 4, 5], [3, 2, 2, 11, 33])
    found = separation("rating", np.concatenate([abnormal, normal]).astype(float), np.arange(109) >= 51)
    assert found.auroc == pytest.approx(0.893, abs=0.001)
    assert (found.auroc - found.low) / 1.96 == pytest.approx(0.032, abs=0.002)


def test_a_threshold_gets_the_signal_that_it_is_for_where_that_was_measured():
    sure = Confidence(signal="margin", value=0.9, known={"margin": 0.9, "agreement": 0.2})
    assert as_asked(sure, Threshold(signal="agreement", value=0.5)).value == 0.2
    assert as_asked(sure, Threshold(signal="verifier", value=0.5)) == sure
    assert as_asked(sure, Threshold(signal="", value=0.5)) == sure
    assert as_asked(None, Threshold(signal="agreement", value=0.5)) is None
