"""Intervals cover as often as they say, and a drift is told neither too late nor at every blip."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstline.orchestrator.core.statistics import clopper_pearson, paired_difference, wilson
from firstline.orchestrator.quality.calibration.audit import LiveLoss, confidence_sequence, has_changed, live_loss


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.3])
def test_looking_after_every_audit_leaves_the_truth_out_no_more_often_than_delta(rate):
    rng = np.random.default_rng(11)
    left_out = 0
    for _ in range(100):
        losses = np.cumsum(rng.random(400) < rate)
        bounds = [confidence_sequence(int(losses[n - 1]), n, delta=0.1) for n in range(1, 401, 3)]
        left_out += any(not low <= rate <= high for low, high in bounds)
    assert left_out / 100 <= 0.1


def loss(losses: int, audited: int, *, accepted: int = 10_000, answered: int = 10_000) -> LiveLoss:
    """What audits say whose losses lie evenly among them."""
    outcomes = [n * losses // audited != (n + 1) * losses // audited for n in range(audited)]
    return live_loss(outcomes, accepted=accepted, answered=answered, max_loss=0.05)


def test_a_drift_is_flagged_and_a_good_run_is_not():
    assert loss(30, 200).drifted(0.05)
    assert not loss(5, 200).drifted(0.05)
    assert loss(2, 400).sound(0.05)


def test_the_loss_over_all_items_is_scaled_by_what_is_accepted():
    half, whole = loss(30, 200, accepted=5_000), loss(30, 200)
    assert half.estimate == pytest.approx(0.075)
    assert half.low < whole.low / 2 < whole.high / 2 < half.high


def test_an_accepted_share_that_few_items_tell_is_not_taken_for_known():
    """The accepted share is 20% in truth; with it plugged in, 11% of intervals left the loss out at 95%."""
    rng = np.random.default_rng(5)
    left_out = 0
    for _ in range(200):
        accepted = int((rng.random(150) < 0.2).sum())
        outcomes = list(rng.random(accepted) < 0.3)
        found = live_loss(outcomes, accepted=accepted, answered=150, max_loss=0.05)
        left_out += not found.low <= 0.06 <= found.high
    assert left_out / 200 <= 0.05


@pytest.mark.parametrize("calm", [50, 400])
def test_a_doubled_loss_is_noticed_within_150_audits_and_a_calm_one_raises_no_alarm(calm):
    """At half of the borne loss for a while, then at twice of it; a mean over all audits took 492."""
    rng = np.random.default_rng(3)
    runs = [(rng.random(calm) < 0.025, rng.random(150) < 0.1) for _ in range(1000)]
    assert np.mean([has_changed(list(before), 0.05) for before, _ in runs]) <= 0.05
    assert np.mean([has_changed([*before, *after], 0.05) for before, after in runs]) >= 0.9


def test_before_the_first_audit_nothing_is_known():
    unseen = live_loss([], accepted=10, answered=10, max_loss=0.05)
    assert (unseen.estimate, unseen.low, unseen.high) == (None, 0, 1)
    assert not unseen.drifted(0.05)
    assert not unseen.sound(0.05)


@given(audited=st.integers(1, 3000), share=st.floats(0, 1), delta=st.floats(0.001, 0.5))
def test_the_interval_holds_the_estimate(audited, share, delta):
    losses = round(share * audited)
    low, high = confidence_sequence(losses, audited, delta=delta)
    assert 0 <= low <= losses / audited <= high <= 1


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # R: binom.test(37, 40) and binom.test(0, 20)
        pytest.param(37, 40, 0.7961, 0.9843, id="37 of 40"),
        pytest.param(0, 20, 0.0, 0.1684, id="none"),
        pytest.param(20, 20, 0.8316, 1.0, id="all"),
        pytest.param(0, 0, 0.0, 1.0, id="nothing tried"),
    ],
)
def test_the_exact_interval_agrees_with_the_reference(successes, trials, low, high):
    interval = clopper_pearson(successes, trials)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-4)


def test_an_interval_reads_as_a_sentence():
    assert str(clopper_pearson(37, 40)) == "37 of 40; 95% interval 80-98%"


@given(trials=st.integers(0, 300), share=st.floats(0, 1))
def test_the_score_interval_lies_within_the_unit_and_around_the_share(trials, share):
    successes = round(share * trials)
    interval = wilson(successes, trials)
    assert 0 <= interval.low <= (interval.share or 0) + 1e-12
    assert (1 if interval.share is None else interval.share) - 1e-12 <= interval.high <= 1


def test_a_paired_difference_looks_only_at_where_the_two_differ():
    better = paired_difference(2, 20, 100)
    assert better is not None
    assert better.estimate == pytest.approx(0.18)
    assert 0 < better.low < better.estimate < better.high
    even = paired_difference(5, 5, 100)
    assert even is not None
    assert even.low < 0 < even.high
    assert paired_difference(0, 0, 0) is None
