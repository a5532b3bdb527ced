"""A student's promise holds whatever the items do, and its course keeps a job from running into it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import nbinom

from firstline.orchestrator.quality.students.course import Ledger, is_due, standard
from firstline.orchestrator.quality.students.promise import SPENT, promise_for
from firstline.orchestrator.quality.students.training import HeldOut


@settings(max_examples=60, deadline=None)
@given(
    items=st.integers(200, 200_000), max_loss=st.sampled_from([0.01, 0.02, 0.05]), delta=st.sampled_from([0.05, 0.1])
)
def test_more_wrong_answers_than_borne_slip_through_with_the_probability_that_was_spent(items, max_loss, delta):
    promise = promise_for(items, max_loss=max_loss, delta=delta)
    if promise is None:
        assert items * max_loss < 1
        return
    misses = nbinom.sf(promise.most_missed, promise.most_caught, promise.audit_share)
    assert misses == pytest.approx(SPENT * delta, rel=1e-6)


def test_a_job_too_small_to_bear_one_wrong_answer_has_no_student():
    assert promise_for(49, max_loss=0.02, delta=0.1) is None


@pytest.mark.parametrize(
    "wrongs",
    [
        pytest.param(lambda n, caught: 0.04, id="a steady student"),
        pytest.param(lambda n, caught: 0.0 if n < 5000 else 0.9, id="drift in mid job"),
        pytest.param(lambda n, caught: 1.0 if caught == 0 else 0.02, id="worst until first caught"),
    ],
)
def test_the_loss_of_a_job_is_missed_no_more_often_than_promised_even_by_an_adversary(wrongs):
    promise = promise_for(10_000, max_loss=0.02, delta=0.1)
    missed_often = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        caught = missed = 0
        for n, (coin, luck) in enumerate(rng.random((10_000, 2)).tolist()):
            if luck < wrongs(n, caught):
                if coin < promise.audit_share:
                    caught += 1
                    if caught == promise.most_caught:
                        break
                else:
                    missed += 1
        missed_often += missed > promise.most_missed
    assert missed_often / 400 <= SPENT * 0.1 + 2.5 * (0.05 * 0.95 / 400) ** 0.5


def record(wrong_share=0.05, rows=1000):
    rng = np.random.default_rng(1)
    margins = np.sort(rng.random(rows))[::-1]
    return HeldOut(margins, rng.random(rows) < wrong_share * 4 * (1 - margins))


def test_a_student_that_was_caught_as_often_as_may_be_answers_nothing_more():
    promise = promise_for(10_000, max_loss=0.02, delta=0.1)
    stopped = Ledger(items=10_000, begun=5000, caught=promise.most_caught)
    assert standard(record(), stopped, promise).margin is None


def test_audits_that_are_still_out_count_as_catches():
    promise = promise_for(10_000, max_loss=0.02, delta=0.1)
    waiting = Ledger(items=10_000, begun=5000, caught=1, pending=promise.most_caught - 1)
    assert standard(record(), waiting, promise).margin is None


def test_a_student_caught_more_often_than_foreseen_must_be_surer():
    promise = promise_for(10_000, max_loss=0.02, delta=0.1)
    calm = standard(record(), Ledger(items=10_000, begun=3000, caught=1, foreseen=1.0), promise)
    caught = standard(record(), Ledger(items=10_000, begun=3000, caught=5, foreseen=1.0), promise)
    assert caught.margin > calm.margin


def test_a_student_is_trained_when_labels_are_there_and_again_when_they_have_grown_but_not_for_the_last_items():
    assert not is_due(500, trained_on=None, items=13_000, begun=500)
    assert is_due(800, trained_on=None, items=13_000, begun=800)
    assert not is_due(1200, trained_on=800, items=13_000, begun=1500)
    assert is_due(1280, trained_on=800, items=13_000, begun=1700)
    assert not is_due(12_500, trained_on=800, items=13_000, begun=12_600)
