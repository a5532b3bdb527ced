"""Steps over the elements of a list: what they are asked about, and what is gathered."""

import pytest

from firstline.schemas.plan import MOST_ELEMENTS, Plan, PlannedStep, Step, named, step_of, subtask_label
from firstline.workers.rules.step_graph import elements, gathered, ready, unfolded
from firstline.workers.rules.step_inputs import Unfit

OUTLINE = Step(name="outline", skill="s")
WRITE = Step(
    name="write",
    skill="s",
    for_each="outline.sections",
    inputs={"text": "each.title", "all": "each", "topic": "item.topic", "eachword": "=each.x"},
    after=("outline",),
    at_most=3,
)
JOIN = Step(name="join", skill="s", inputs={"text": "write"}, after=("write",))
STEPS = [PlannedStep(step=step, segment=0, start_tier="cheap") for step in (OUTLINE, WRITE, JOIN)]
SECTIONS = [{"title": "a"}, {"title": "b"}]


def settled(sections):
    return {"outline": {"sections": sections}}


def test_an_element_has_a_name_a_place_and_inputs_of_its_own():
    step = STEPS[1].element(1).step
    assert step.name == "write__each1"
    assert step.inputs == {
        "text": "outline.sections.1.title",
        "all": "outline.sections.1",
        "topic": "item.topic",
        "eachword": "=each.x",
    }
    assert (step.for_each, step_of(step.name), subtask_label(step.name)) == (None, "write", "write[1]")
    assert step_of("write") == subtask_label("write") == "write"


def test_a_plan_finds_a_subtask_of_an_element_by_its_name():
    plan = Plan(workflow="w", steps=tuple(STEPS), output="join")
    assert plan.step("write__each12").step.name == "write__each12"
    assert named(STEPS, "write__each0") is STEPS[1].element(0)
    with pytest.raises(KeyError):
        plan.step("other__each0")


def test_elements_are_asked_once_their_list_is_there_and_the_next_step_waits_for_all_of_them():
    def turn(values, ended):
        flat = unfolded(STEPS, item={}, settled=values, ended=ended)
        return [one.step.name for one in ready(flat, ended=ended, begun=(), within=STEPS)]

    assert turn({}, set()) == ["outline"]
    values = settled(SECTIONS)
    assert turn(values, {"outline"}) == ["write__each0", "write__each1"]
    assert turn(values, {"outline", "write__each1"}) == ["write__each0"]
    assert turn(values, {"outline", "write__each0", "write__each1"}) == []
    assert turn(values, {"outline", "write__each0", "write__each1", "write"}) == ["join"]


def test_answers_are_gathered_in_the_order_of_the_list():
    values = {**settled(SECTIONS), "write__each1": "B", "write__each0": "A"}
    assert gathered(STEPS[1], item={}, settled=values, ended={"write__each0", "write__each1"}) == ["A", "B"]
    assert gathered(STEPS[1], item={}, settled=values, ended={"write__each0"}) is None
    assert gathered(STEPS[1], item={}, settled=settled([]), ended=()) == []


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        pytest.param("four", "expected `outline.sections` to be a list, got a text", id="a text"),
        pytest.param({"a": 1}, "got an object", id="an object"),
        pytest.param(None, "is empty", id="null"),
        pytest.param([1, 2, 3, 4], "has 4 elements, the step takes at most 3; raise its `at_most`", id="too many"),
    ],
)
def test_what_is_no_list_of_a_bearable_length_is_said(sections, said):
    found = elements(STEPS[1], item={}, settled=settled(sections))
    assert isinstance(found, Unfit)
    assert said in found.reason


def test_a_list_that_is_not_there_is_said():
    found = elements(STEPS[1], item={}, settled={})
    assert isinstance(found, Unfit)
    assert "is missing" in found.reason


def test_the_bound_has_a_bound():
    with pytest.raises(ValueError, match=str(MOST_ELEMENTS)):
        Step(name="a", skill="s", for_each="item.x", at_most=MOST_ELEMENTS + 1)
