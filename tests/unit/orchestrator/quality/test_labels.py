"""Labels for a calibration: who was right, and when a cheap answer counts as a loss."""

import pytest

from firstline.orchestrator.quality.calibration.labels import (
    Answer,
    Pair,
    Truth,
    is_loss,
    main_signal,
    refuse_contradictions,
    truth_of,
)
from firstline.schemas.errors import UserError
from firstline.schemas.plan import Quality
from firstline.schemas.policy import Confidence
from firstline.workers.rules.json_paths import MISSING

GOLD = Truth(quality=Quality(gold="gold"))


def sure(value: float, signal: str = "margin") -> Confidence:
    return Confidence(signal=signal, value=value)


def pair(cheap, frontier, gold=None, *, confidence=None, item_id="1", text="t") -> Pair:
    item = {"text": text} if gold is None else {"text": text, "gold": gold}
    return Pair(item_id, item, Answer(cheap, "small", confidence), Answer(frontier, "large"))


@pytest.mark.parametrize(
    ("truth", "one", "lost"),
    [
        pytest.param(Truth(), pair("a", "a"), False, id="they agree"),
        pytest.param(Truth(), pair("a", "b"), True, id="they differ, and the frontier counts as right"),
        pytest.param(Truth(), pair(MISSING, "b"), True, id="the cheap one gave no answer"),
        pytest.param(Truth(), pair("a", MISSING), None, id="the frontier gave no answer"),
        pytest.param(GOLD, pair("a", "b", "a"), False, id="only the cheap one is right"),
        pytest.param(GOLD, pair("a", "b", "b"), True, id="only the frontier is right"),
        pytest.param(GOLD, pair("a", "b", "c"), False, id="neither is right: nothing is lost"),
        pytest.param(GOLD, pair("a", MISSING, "c"), False, id="the frontier failed too"),
        pytest.param(GOLD, pair("a", "b"), None, id="the item carries no gold"),
    ],
)
def test_a_loss_is_what_the_frontier_would_have_got_right(truth, one, lost):
    assert is_loss(one, truth) is lost


def test_a_graded_score_is_lost_where_the_frontier_scores_more():
    truth = Truth(quality=Quality(gold="gold", compare="set_f1"), compare="set_f1")
    assert is_loss(pair(["a"], ["a", "b"], ["a", "b", "c"]), truth) is True
    assert is_loss(pair(["a"], ["b"], ["a", "b", "c"]), truth) is False


def test_the_main_signal_is_the_one_that_most_answers_have():
    answers = [Answer("a", confidence=sure(0.5, name)) for name in ("margin", "agreement", "agreement")]
    assert main_signal(answers) == "agreement"
    assert main_signal([Answer("a")]) is None


def test_equal_items_with_different_gold_are_refused_by_name():
    items = [("x", {"text": "t", "gold": "a"}), ("y", {"text": "t", "gold": "b"})]
    with pytest.raises(UserError, match="items x and y are the same but carry different `gold`"):
        refuse_contradictions(items, GOLD.quality)


@pytest.mark.parametrize(
    ("output", "field", "expected"),
    [
        pytest.param("sort", None, (True, None), id="the output is the step's answer"),
        pytest.param("sort", "label", (True, "label"), id="a field of it"),
        pytest.param("reply", "label", (False, None), id="the output is another step's"),
        pytest.param({"kind": "sort.label"}, "kind", (True, "label"), id="a field made of the step's"),
        pytest.param({"kind": "sort"}, "kind.label", (True, "label"), id="a field within the step's answer"),
        pytest.param({"kind": "reply.kind"}, "kind", (False, None), id="a field made of another step's"),
        pytest.param({"kind": "sort.label"}, None, (False, None), id="the whole of an output made of several"),
    ],
)
def test_a_step_is_measured_by_gold_only_where_the_output_is_its_answer(output, field, expected):
    found = truth_of(Quality(gold="gold", field=field), "sort", output=output, folders=())
    assert (found.quality is not None, found.field) == expected
