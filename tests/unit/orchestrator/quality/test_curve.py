"""The risk-coverage curve that is kept with a calibration."""

import pytest

from firstline.orchestrator.quality.calibration.curve import risk_curve
from firstline.orchestrator.quality.calibration.labels import NO_CONFIDENCE


def test_losses_among_the_labelled_stand_for_all_above_them():
    points = risk_curve([0.9, 0.8, 0.7, 0.6, NO_CONFIDENCE], {0: False, 2: True, 3: False})
    assert [(one.confidence, one.coverage) for one in points] == [(0.9, 0.2), (0.7, 0.6), (0.6, 0.8)]
    assert [one.loss for one in points] == pytest.approx([0, 0.6 / 2, 0.8 / 3])


def test_answers_of_one_confidence_are_accepted_together():
    points = risk_curve([0.5, 0.5, 0.5, 0.1], {0: True, 1: False, 2: False, 3: False})
    assert [(one.confidence, one.coverage, one.loss) for one in points] == [(0.5, 0.75, 0.25), (0.1, 1.0, 0.25)]


def test_it_ends_where_the_labels_do_and_keeps_few_points():
    assert risk_curve([0.5, 0.4], {}) == ()
    many = risk_curve([1 - n / 1000 for n in range(1000)], {n: n % 3 == 0 for n in range(500)})
    assert len(many) <= 70
    assert many[0].coverage == pytest.approx(0.001)
