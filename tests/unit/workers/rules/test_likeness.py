"""Two answers are the same, or differ, or a judge has to tell, field by field."""

import pytest

from firstline.schemas.comparator import Comparator
from firstline.workers.rules.likeness import likeness

EXACT, JUDGE = Comparator(by="exact"), Comparator(by="judge")
LABELLED = {"label": EXACT, "text": JUDGE}


@pytest.mark.parametrize(
    ("by", "ours", "theirs", "same"),
    [
        pytest.param({"label": EXACT}, {"label": "a"}, {"label": "A "}, True, id="case and space aside"),
        pytest.param({"label": EXACT, "text": None}, {"label": "a", "text": "x"}, {"label": "a"}, True, id="left out"),
        pytest.param({"text": None}, {"text": "x"}, {"text": "x"}, None, id="nobody compares anything"),
        pytest.param({"n": Comparator(by="number", tolerance=0.01)}, {"n": 100}, {"n": 100.9}, True, id="tolerance"),
        pytest.param({"n": Comparator(by="number", tolerance=0.01)}, {"n": 100}, {"n": 102}, False, id="beyond it"),
        pytest.param({"n": Comparator(by="number")}, {"n": 3}, {"n": 3.0}, True, id="numbers by value"),
        pytest.param({"": Comparator(by="set_f1", at_least=0.6)}, ["a", "b"], ["a"], True, id="sets by F1"),
        pytest.param({"": Comparator(by="set_f1")}, ["a", "b"], ["a"], False, id="sets that have to be equal"),
        pytest.param(LABELLED, {"label": "a", "text": "x"}, {"label": "b", "text": "y"}, False, id="settled already"),
        pytest.param(LABELLED, {"label": "a", "text": "X  y"}, {"label": "a", "text": "x y"}, True, id="word by word"),
        pytest.param(LABELLED, {"label": "a", "text": "x"}, {"label": "a"}, False, id="absent on one side"),
        pytest.param(LABELLED, {"label": "a", "text": "x"}, {"label": "a", "text": "y"}, None, id="a judge tells"),
    ],
)
def test_what_can_be_told_without_a_judge(by, ours, theirs, same):
    assert likeness(by, ours, theirs).is_same is same


def test_a_judge_is_shown_what_it_has_to_compare_and_nothing_else_whichever_comes_first():
    one = likeness(LABELLED, {"label": "a", "text": "x"}, {"label": "a", "text": "y"})
    other = likeness(LABELLED, {"label": "a", "text": "y"}, {"label": "a", "text": "x"})
    assert (one.one, one.other, one.needs_judge) == ({"text": "x"}, {"text": "y"}, True)
    assert one.key == other.key
    assert not likeness({"text": None}, {"text": "x"}, {"text": "y"}).needs_judge
