"""A condition that can never hold, or never be evaluated, is told when it is written, not by steps that are skipped."""

import pytest

from firstline.config.catalogue.condition_flaws import FUNCTIONS, METHODS
from firstline.config.catalogue.workflow_flaws import Names, workflow_flaws
from firstline.schemas.plan import Workflow
from firstline.schemas.skill import Skill
from firstline.workers.rules import expressions

SORT = Skill.model_validate(
    {
        "name": "sort",
        "instructions": "Sort.",
        "input": {"text": {}},
        "output": {
            "type": "object",
            "properties": {
                "label": {"enum": ["simple", "complex"]},
                "amount": {"type": ["number", "null"]},
                "why": {"type": "string"},
                "urgent": {"type": "boolean"},
                "tags": {"type": "array", "items": {"enum": ["a", "b"]}},
                "open": {"anyOf": [{"type": "string"}, {"type": "number"}]},
            },
        },
    }
)


def flaws(when: str, *, kind: str = "skill", **options: object) -> list[str]:
    first = {"name": "sort", "kind": kind, "skill": "sort", "options": options}
    second = {"name": "then", "skill": "sort", "when": when}
    workflow = Workflow.model_validate({"name": "w", "steps": [first, second]})
    found = workflow_flaws(workflow, Names({"sort": SORT}, lambda name: None, lambda name: None))
    return [flaw.text for flaw in found if flaw.at[-1] == "when"]


@pytest.mark.parametrize(
    ("when", "said"),
    [
        pytest.param("foo(1)", "there is no function 'foo'", id="a function that is not there"),
        pytest.param("sort.why.contains('x')", "there is no method 'contains'", id="a method that is not there"),
        pytest.param("sort.label == 'simpel'", "`sort.label` is never 'simpel'; did you mean", id="a label"),
        pytest.param("sort.label != 'simpel'", "never 'simpel'", id="a label that is always another"),
        pytest.param("'simpel' == sort.label", "never 'simpel'", id="the other way round"),
        pytest.param("sort.label in ['simple', 'hard']", "never 'hard'", id="one of several labels"),
        pytest.param("sort.amount == 'five'", "is a number and can never be compared", id="a number and a text"),
        pytest.param("sort.why > 3", "is a string and can never be compared", id="an order of text and number"),
        pytest.param("sort.urgent == 'yes'", "is a boolean", id="a truth and a text"),
        pytest.param("'c' in sort.tags", "never holds 'c'", id="an element that a list never has"),
        pytest.param("sort.amount ** 2 > 4", "may not hold `**`", id="an operator that is refused"),
    ],
)
def test_what_can_never_hold_is_refused(when, said):
    (flaw,) = flaws(when)
    assert said in flaw


@pytest.mark.parametrize(
    "when",
    [
        "sort.label == 'simple'",
        "sort.label in ['simple', 'complex'] and sort.amount > 3",
        "sort.label == None or sort.amount == 3.5",
        "sort.why.lower().startswith('x')",
        "sort.open == 3",
        "'a' in sort.tags",
        "'x' in sort.why",
        "any(tag == 'a' for tag in sort.tags)",
        "item.kind == 'anything'",
        "get(sort, 'label', '') == 'simple'",
    ],
)
def test_what_may_hold_is_not(when):
    assert flaws(when) == []


def test_a_router_s_labels_are_those_that_its_step_declares():
    options = {"kind": "route", "labels": ["one", "two"], "field": "why"}
    assert flaws("sort.why == 'one'", **options) == []
    assert "never 'three'" in flaws("sort.why == 'three'", **options)[0]


def test_the_names_that_are_checked_are_those_that_are_evaluated():
    assert set(FUNCTIONS) == set(expressions.FUNCTIONS)
    assert set(METHODS) == set(expressions._METHODS)
