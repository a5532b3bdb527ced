"""Editing a workflow as a value, its YAML, its drawing, and forms made from schemas."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstline.config.catalogue.yaml_text import as_yaml, mapping_as_yaml
from firstline.orchestrator.web.drawing import HEIGHT, WIDTH, draw
from firstline.orchestrator.web.editing import add_step, alone, change_step, connect, remove_step
from firstline.orchestrator.web.pages.workflows import parsed, step_fields
from firstline.orchestrator.web.schema_form import form_of, value_of
from firstline.schemas.errors import UserError
from firstline.schemas.plan import Step, Workflow
from firstline.schemas.skill import Skill

SKILL = Skill(name="s", instructions="Do it.", input={"text": {}}, output={"type": "string"})
WORKFLOW = Workflow(
    name="w",
    steps=(
        Step(name="a", skill="s"),
        Step(name="b", skill="s", after=("a",), inputs={"text": "a.text"}, when="a.label == 'a' and item.a"),
        Step(name="c", skill="s", after=("b",)),
    ),
    output={"x": "b.y", "z": "=b"},
)


def step(workflow, name):
    return next(one for one in workflow.steps if one.name == name)


def test_a_step_is_added_behind_another_under_a_name_of_its_own():
    grown, name = add_step(WORKFLOW, skill="a", after="c")
    assert name == "a_2"
    assert step(grown, name).after == ("c",)


def test_what_waited_for_a_removed_step_waits_for_what_that_waited_for():
    assert step(remove_step(WORKFLOW, "b"), "c").after == ("a",)


def test_the_last_step_stays():
    with pytest.raises(UserError, match="at least one step"):
        remove_step(Workflow(name="w", steps=(Step(name="a", skill="s"),)), "a")


def test_connecting_twice_parts_again():
    once = connect(WORKFLOW, "a", "c")
    assert step(once, "c").after == ("b", "a")
    assert connect(once, "a", "c") == WORKFLOW


@pytest.mark.parametrize(("source", "target"), [("c", "a"), ("b", "a"), ("a", "a")])
def test_no_step_waits_for_itself_however_far_around(source, target):
    with pytest.raises(UserError, match="cannot wait"):
        connect(WORKFLOW, source, target)


def test_a_new_name_is_followed_by_everything_that_refers_to_it():
    renamed = change_step(WORKFLOW, "a", {"name": "first"}, {})
    assert step(renamed, "b").after == ("first",)
    assert step(renamed, "b").inputs == {"text": "first.text"}
    assert step(renamed, "b").when == "first.label == 'a' and item.a"
    assert change_step(WORKFLOW, "b", {"name": "second"}, {}).output == {"x": "second.y", "z": "=b"}


def test_a_tier_is_chosen_and_taken_back_without_a_trace():
    chosen = change_step(WORKFLOW, "a", {"start": "frontier"}, {"s": SKILL})
    assert step(chosen, "a").policy == SKILL.policy.evolve(start="frontier")
    assert change_step(chosen, "a", {"start": ""}, {"s": SKILL}) == WORKFLOW


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param({"name": "B!"}, "name", id="a name that is none"),
        pytest.param({"name": "c"}, "already", id="a name that is taken"),
        pytest.param({"kind": "dance"}, "kind", id="an unknown kind"),
    ],
)
def test_a_change_that_will_not_do_is_refused(fields, said):
    with pytest.raises(UserError, match=said):
        change_step(WORKFLOW, "b", fields, {})


def test_a_step_alone_reads_the_item():
    lone = alone(step(WORKFLOW, "b"), SKILL).steps[0]
    assert (lone.inputs, lone.after, lone.when) == ({}, (), None)


def test_a_form_of_a_step_reads_inputs_line_by_line():
    fields = step_fields({"name": "a", "inputs": "text: item.body\n\ntopic: =yes: no\n"})
    assert fields["inputs"] == {"text": "item.body", "topic": "=yes: no"}
    with pytest.raises(UserError, match="expected lines such as"):
        step_fields({"name": "a", "inputs": "text item.body"})


def test_a_workflow_survives_its_yaml():
    assert parsed(as_yaml(WORKFLOW)) == WORKFLOW


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=30) | st.sampled_from(
    ["0o17", "no", "~", "1e3", "2026-01-31", "a: b", "# x", "- x", "12:30", "a\nb\n", " lead", "tail ", "", "=", "<<"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS.filter(bool), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXTS.filter(lambda text: text not in ("", "<<")), VALUES, min_size=1, max_size=4))
def test_any_value_survives_its_yaml(data):
    from pathlib import Path

    from firstline.config.catalogue.yaml_file import parse_yaml

    assert parse_yaml(mapping_as_yaml(data).encode(), Path("x.yaml")).data == data


# Drawings ----------------------------------------------------------------------------------------------------------


def test_steps_stand_right_of_what_they_wait_for_and_none_on_another():
    needs = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c", "a")}
    drawing = draw(needs)
    places = {box.name: box for box in drawing.boxes}
    assert all(places[one].x + WIDTH < places[name].x for name, before in needs.items() for one in before)
    assert places["c"].y - places["b"].y > HEIGHT
    assert all(box.x + WIDTH <= drawing.width and box.y + HEIGHT <= drawing.height for box in drawing.boxes)


def test_a_wait_that_follows_from_others_is_not_drawn():
    curves = {(curve.source, curve.target) for curve in draw({"a": (), "b": ("a",), "c": ("a", "b")}).curves}
    assert curves == {("a", "b"), ("b", "c")}


@pytest.mark.parametrize("needs", [{}, {"a": ("a",)}, {"a": ("b",), "b": ("a",)}, {"a": ("gone",)}])
def test_a_half_finished_workflow_is_drawn_all_the_same(needs):
    assert {box.name for box in draw(needs).boxes} == set(needs)


# Forms -------------------------------------------------------------------------------------------------------------

SCHEMA = {
    "type": "object",
    "properties": {
        "topic": {"enum": ["a", "b", 3]},
        "amount": {"type": "number", "minimum": 0},
        "urgent": {"type": "boolean"},
        "why": {"type": "string", "description": "In a sentence."},
        "parts": {"type": "array"},
    },
    "required": ["topic", "amount", "why"],
}


def test_a_schema_becomes_a_form_with_a_field_for_each_property():
    fields = {field.label: field for field in form_of(SCHEMA, {"topic": "b", "amount": 3, "why": "so"})}
    assert [(field.kind, field.required) for field in fields.values()] == [
        ("choice", True),
        ("number", True),
        ("switch", False),
        ("text", True),
        ("json", False),
    ]
    assert (fields["topic"].choices, fields["topic"].value) == (('"a"', '"b"', "3"), '"b"')
    assert (fields["amount"].min, fields["why"].description) == (0, "In a sentence.")


def test_a_filled_in_form_becomes_a_value():
    form = {"answer.topic": "3", "answer.amount": "2.5", "answer.urgent": "on", "answer.why": "", "answer.parts": ""}
    assert value_of(SCHEMA, form) == {"topic": 3, "amount": 2.5, "urgent": True, "why": ""}


def test_what_was_filled_in_is_shown_again_as_it_was():
    value = {"topic": "a", "amount": 1, "urgent": True, "why": "x", "parts": [1, {"a": 2}]}
    form = {field.name: "on" if field.value == "true" else field.value for field in form_of(SCHEMA, value)}
    assert value_of(SCHEMA, form) == value


def test_a_field_that_cannot_be_read_is_named():
    with pytest.raises(UserError, match="amount: expected a number, got 'many'"):
        value_of(SCHEMA, {"answer.topic": '"a"', "answer.amount": "many"})


@pytest.mark.parametrize(
    ("schema", "typed", "value"),
    [
        pytest.param({"type": "string"}, "plain", "plain", id="a text"),
        pytest.param({"enum": ["yes", "no"]}, '"no"', "no", id="a choice"),
        pytest.param({"type": "array"}, "[1, 2]", [1, 2], id="a list"),
        pytest.param({"type": "object"}, '{"a": 1}', {"a": 1}, id="an open object"),
    ],
)
def test_an_answer_that_is_no_object_is_one_field(schema, typed, value):
    assert value_of(schema, {"answer": typed}) == value
