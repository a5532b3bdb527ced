"""How outputs are compared with the truth."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstline.orchestrator.quality.calibration.labels import Truth
from firstline.schemas.errors import UserError
from firstline.schemas.plan import Quality
from firstline.workers.rules.json_paths import MISSING
from firstline.workers.rules.scoring import compare, gold_of, score, set_f1

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=3), part, max_size=3),
)


@pytest.mark.parametrize(
    ("by", "output", "gold", "expected"),
    [
        pytest.param("exact", " Card\nlost ", "card LOST", 1, id="texts: case and space"),
        pytest.param("exact", 3.0, 3, 1, id="numbers by value"),
        pytest.param("exact", "3", 3, 0, id="a text is no number"),
        pytest.param("exact", True, 1, 0, id="true is not 1"),
        pytest.param("exact", {"a": ["X"], "b": 1}, {"b": 1, "a": ["x"]}, 1, id="objects"),
        pytest.param("exact", ["a", "b"], ["b", "a"], 0, id="lists in order"),
        pytest.param("number", "So 3 + 4 = 1,007.50 dollars.", "#### 1007.5", 1, id="last number"),
        pytest.param("number", "It is -5", "5", 0, id="sign"),
        pytest.param("number", "costs $.5", 0.5, 1, id="no leading zero"),
        pytest.param("number", "none", "5", 0, id="no number"),
        pytest.param("number", "none", "none", 0, id="no number in either"),
        pytest.param("set_f1", ["A", "b"], ["b", "c"], 0.5, id="half of both"),
        pytest.param("set_f1", [], [], 1, id="both empty"),
        pytest.param("set_f1", None, ["a"], 0, id="nothing found"),
        pytest.param("set_f1", {"a": 1, "b": 2}, {"a": 1}, 2 / 3, id="objects by pair"),
    ],
)
def test_a_comparator_scores_from_0_to_1(by, output, gold, expected):
    assert compare(by, output, gold) == pytest.approx(expected)


@given(VALUES, VALUES)
def test_set_f1_is_symmetric_and_bounded(output, gold):
    assert 0 <= set_f1(output, gold) == set_f1(gold, output) <= 1
    assert set_f1(gold, gold) == 1


@given(VALUES)
def test_a_value_is_exactly_itself(value):
    assert compare("exact", value, value) == 1


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        pytest.param({"gold": "card"}, 1.0, id="right"),
        pytest.param({"gold": "refund"}, 0.0, id="wrong"),
        pytest.param({}, None, id="no truth"),
        pytest.param({"gold": None}, None, id="null is no truth"),
    ],
)
def test_an_output_is_scored_where_its_item_carries_truth(item, expected):
    assert score(Quality(gold="gold", field="a.b"), {"a": {"b": "card"}}, item) == expected


def test_an_output_without_the_field_scores_0():
    assert score(Quality(gold="gold", field="a.b"), {"a": "card"}, {"gold": "card"}) == 0.0


def test_the_truth_may_lie_deeper_in_the_item():
    assert gold_of(Quality(gold="labels.intent"), {"labels": {"intent": "x"}}) == "x"
    assert gold_of(Quality(gold="labels.intent"), {"labels.intent": "y"}) == "y"


def test_a_users_comparator_scores(tmp_path):
    (tmp_path / "metric_mine.py").write_text("def half(output, gold): return .5\ndef odd(output, gold): return 7\n")
    assert compare("metric_mine:half", 1, 2, folders=(tmp_path,)) == 0.5
    with pytest.raises(UserError, match="expected a number from 0 to 1, got 7"):
        compare("metric_mine:odd", 1, 2, folders=(tmp_path,))


@pytest.mark.parametrize(
    ("output", "gold", "expected"),
    [
        pytest.param(MISSING, {"a": 1}, 0.0, id="the item failed"),
        pytest.param(None, {"a": 1}, 0.0, id="the output is null"),
        pytest.param({"a": None}, None, None, id="no truth"),
    ],
)
def test_a_users_comparator_never_meets_what_is_not_there(tmp_path, output, gold, expected):
    (tmp_path / "metric_strict.py").write_text("def same(output, gold): return output['a'] == gold['a']\n")
    quality = Quality(gold="gold", compare="metric_strict:same")
    assert score(quality, output, {"gold": gold}, folders=(tmp_path,)) == expected
    truth = Truth(quality=quality, compare=quality.compare, folders=(tmp_path,))
    assert truth.score(output, {"gold": gold}) == expected


def test_an_unknown_comparator_names_those_there_are():
    with pytest.raises(UserError, match="expected exact, number, set_f1 or a function"):
        compare("exactly", 1, 2)


@pytest.mark.parametrize(
    ("gold", "output", "more", "expected"),
    [
        pytest.param("5", 5, {}, 1, id="a cell and a number"),
        pytest.param("1.234,56", 1234.56, {}, 1, id="German"),
        pytest.param("1.234", 1234, {"locale": "de"}, 1, id="German by locale"),
        pytest.param("1.234", 1.234, {"locale": "de"}, 0, id="not English by locale"),
        pytest.param("6", 5, {}, 0, id="another number"),
        pytest.param("TRUE", True, {}, 1, id="a truth"),
        pytest.param("no", True, {}, 0, id="another truth"),
        pytest.param('["a", "b"]', ["a", "b"], {}, 1, id="a list as JSON"),
        pytest.param("a; b", ["a", "b"], {}, 1, id="a list as people write it"),
        pytest.param("1; 2", [1, 2], {}, 1, id="a list of numbers"),
        pytest.param('{"a": 1}', {"a": 1}, {}, 1, id="an object"),
        pytest.param("", None, {}, 1, id="nothing"),
        pytest.param(5, "5", {}, 1, id="a number and a text"),
        pytest.param("1.234,56", "total 1234.56", {"compare": "number"}, 1, id="last numbers"),
        pytest.param("5 million", 5_000_000, {"compare": "number"}, 1, id="a word for millions"),
        pytest.param("0.3", 0.1 + 0.2, {"compare": "number"}, 1, id="floating point"),
        pytest.param("1000000.5", 1_000_001, {"compare": "number"}, 0, id="nearly is not equal"),
    ],
)
def test_the_truth_of_a_cell_is_read_as_the_type_of_the_output(gold, output, more, expected):
    assert score(Quality(gold="g", **more), output, {"g": gold}) == expected
