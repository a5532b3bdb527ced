"""Inputs that can never fit a step's tool are told when they are written."""

import pytest

from firstline.config.catalogue.tool_inputs import ARGUMENTS, input_flaws
from firstline.schemas.plan import Step
from firstline.schemas.tool import ToolSpec
from firstline.workers.tools.registry import KINDS

SCHEMAS = {"order": {"type": "string"}, "ids": {"type": "array"}, "count": {"type": "integer"}}


def flaws(kind: str, inputs: dict[str, str], **options: str) -> dict[str, str]:
    step = Step(name="look", kind="tool", tool="t", inputs=inputs)
    return dict(
        input_flaws(step, ToolSpec(name="t", kind=kind, options=options), lambda at: SCHEMAS.get(at.field or ""))
    )


@pytest.mark.parametrize(
    ("kind", "inputs", "said"),
    [
        pytest.param("sql", {"parameters": "s.order"}, "takes array or object, and `s.order` is string", id="a text"),
        pytest.param("sql", {"parameters": "=5"}, "`=5` is integer", id="a literal"),
        pytest.param("sql", {"query": "item.q"}, "no argument 'query'", id="an argument that is not there"),
        pytest.param("search", {"query": "s.ids"}, "takes string, and `s.ids` is array", id="a list for words"),
    ],
)
def test_what_never_fits_is_told(kind, inputs, said):
    (text,) = flaws(kind, inputs).values()
    assert said in text


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("sql", {"parameters": "s.ids", "statement": "=select 1"}),
        ("sql", {"parameters": "item.anything"}),
        ("units", {"value": "s.count", "unit": "=kg", "to": "=lb"}),
        ("function", {"whatever": "s.order"}),
    ],
)
def test_what_may_fit_is_not(kind, inputs):
    assert flaws(kind, inputs) == {}


def test_a_fixed_statement_takes_no_other():
    assert "is fixed" in flaws("sql", {"statement": "item.q"}, statement="select 1")["statement"]


@pytest.mark.parametrize("kind", sorted(ARGUMENTS))
def test_the_arguments_are_those_that_the_tools_take(kind):
    properties = KINDS[kind].arguments.model_json_schema()["properties"]
    assert {name: set(types) for name, types in ARGUMENTS[kind].items()} == {
        name: {part["type"] for part in schema.get("anyOf", [schema])} for name, schema in properties.items()
    }
