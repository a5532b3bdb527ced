"""A judge's own error is carried into what it says: intervals keep their promise, whoever judges."""

import numpy as np
import pytest

from firstline.orchestrator.quality.calibration.audit import live_loss
from firstline.orchestrator.quality.calibration.labels import Truth
from firstline.orchestrator.quality.calibration.threshold import Target
from firstline.orchestrator.quality.judge.error import UNMEASURED, ErrorBox, JudgeError, corrected
from firstline.schemas.comparator import Comparator

JUDGED = {"text": Comparator(by="judge")}
#: Right in 90% of either kind, as measured.
KNOWN = JudgeError(same=100, alarms=10, different=100, missed=10)


@pytest.mark.parametrize("true", [0.0, 0.05, 0.3, 1.0])
@pytest.mark.parametrize("alarm", [0.0, 0.1, 0.6])
@pytest.mark.parametrize("miss", [0.0, 0.1, 0.6])
def test_the_true_share_lies_within_the_corrected_interval_wherever_the_errors_lie_in_their_box(true, alarm, miss):
    called = true * (1 - miss) + (1 - true) * alarm
    box = ErrorBox(max(0, alarm - 0.05), alarm + 0.1, max(0, miss - 0.1), miss + 0.05)
    for alone in (True, False):
        low, high = corrected(called - 0.01, called + 0.01, box, judge_alone=alone)
        assert low <= true <= high


def test_a_judge_without_fault_changes_nothing_and_one_that_nobody_knows_leaves_nothing():
    assert corrected(0.1, 0.2, ErrorBox(0, 0, 0, 0), judge_alone=True) == (0.1, pytest.approx(0.2))
    assert corrected(0.1, 0.2, UNMEASURED.box(0.05), judge_alone=True) == (0.0, 1.0)
    assert JudgeError(same=50).is_measured is False


def test_the_estimate_takes_out_what_the_judge_calls_different_by_mistake():
    assert KNOWN.estimate(0.1) == 0.0
    assert KNOWN.estimate(0.5) == pytest.approx(0.5)
    assert KNOWN.estimate(0.9) == 1.0


def test_false_alarms_of_a_judge_are_no_drift_and_losses_beyond_them_are():
    rng = np.random.default_rng(0)
    calm = list(rng.random(400) < 0.02 * 0.9 + 0.98 * 0.1)
    risen = list(rng.random(400) < 0.4 * 0.9 + 0.6 * 0.1)
    ask = {"accepted": 400, "answered": 400, "max_loss": 0.05, "judge": KNOWN, "judge_alone": True}
    assert live_loss(calm, **{**ask, "judge": None}).drifted(0.05), "the judge's error alone would be called drift"
    assert not live_loss(calm, **ask).drifted(0.05)
    assert live_loss(risen, **ask).drifted(0.05)
    assert not live_loss(risen, **{**ask, "judge": UNMEASURED}).drifted(0.05)


def test_what_is_certified_through_a_judge_is_tested_at_less_since_it_misses_some():
    target = Target(0.05, 0.1)
    assert Truth().through(target) == target
    through = Truth(fields=JUDGED, error=KNOWN).through(target)
    assert (through.max_loss < 0.05 * 0.9, through.delta) == (True, pytest.approx(0.08))
    assert Truth(fields=JUDGED).through(target).max_loss == 0.0
