"""Recorded answers as a file."""

import json

import numpy as np
import pytest

from firstline.orchestrator.experiments.tuning.recorded import RecordedSource, read_records
from firstline.orchestrator.quality.calibration.labels import NO_CONFIDENCE
from firstline.schemas.errors import UserError


def _answer(answer="a", *, correct=1, confidence=0.5, cost=1.0):
    return {
        "answer": answer,
        "correct": correct,
        "confidence": confidence,
        "cost_usd": cost,
        "confidence_cost_usd": 0.0,
    }


def _write(path, items):
    path.write_text("\n".join(json.dumps(item) for item in items))
    return path


@pytest.fixture
def file(tmp_path):
    items = [
        {"id": str(n), "text": "t", "models": {"small": _answer(correct=n % 2, cost=0.1), "large": _answer()}}
        for n in range(4)
    ]
    return _write(tmp_path / "r.jsonl", items)


def test_the_dearest_model_is_the_top_one(file):
    records = read_records(file)
    assert records.top == "large"
    assert records.candidates == ("small",)


def test_a_loss_is_where_only_the_top_model_is_right(file):
    assert read_records(file).losses("small").tolist() == [True, False, True, False]


def test_equal_answers_have_equal_numbers_over_all_models(file):
    columns = read_records(file).columns
    assert set(columns["small"].answers.alike) == set(columns["large"].answers.alike)


def test_a_missing_confidence_is_the_lowest(tmp_path):
    items = [{"id": n, "models": {"m": _answer(confidence=None), "top": _answer(cost=2.0)}} for n in range(2)]
    records = read_records(_write(tmp_path / "r.jsonl", items))
    assert (records.columns["m"].answers.confidence == NO_CONFIDENCE).all()


def test_labels_and_dollars_are_counted_once(file):
    source = RecordedSource(read_records(file))
    source.label(np.array([0, 1]))
    source.label(np.array([1, 2]))
    source.answers("small", np.array([0]))
    assert source.labelled == 3
    assert source.spent_usd == pytest.approx(3.1)


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        pytest.param([{"id": "1", "models": {"m": _answer()}}] * 2, "came before", id="an id twice"),
        pytest.param([{"id": "1", "models": {"m": _answer()}}], "at least 2 items", id="one item"),
        pytest.param(
            [{"id": "1", "models": {"m": _answer()}}, {"id": "2", "models": {"n": _answer()}}],
            "differs in m, n",
            id="odd",
        ),
        pytest.param([{"id": "1", "models": {"m": {"correct": 1}}}] * 2, "cost_usd", id="no cost"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(tmp_path, items, reason):
    with pytest.raises(UserError, match=reason):
        read_records(_write(tmp_path / "r.jsonl", items))


def test_an_unknown_top_model_is_refused_with_those_there_are(file):
    with pytest.raises(UserError, match="it has small, large"):
        read_records(file, top="huge")
