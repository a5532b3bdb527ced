"""What pydantic and zod write is understood as they mean it: whole, wrapped, and in each provider's strict form."""

import json
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import AnyUrl, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from firstline.config.json_schema.references import pointed
from firstline.config.json_schema.subsets import ANTHROPIC, GEMINI, OPENAI, strict_subset, without_nulls
from firstline.config.json_schema.validator import SchemaFault, Validator
from firstline.workers.providers.structured_output import is_strict, wrap

SUITE = Path(__file__).parents[3] / "suites" / "written_schemas"


class Kind(Enum):
    CARD = "card"
    CASH = "cash"


class Line(BaseModel):
    sku: str = Field(min_length=1)
    amount: Decimal = Field(ge=0, multiple_of=Decimal("0.01"), description="In the order's currency.")
    n: int | None = None


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")
    id: UUID
    site: AnyUrl | None = None
    paid: datetime
    due: date
    kind: Kind = Kind.CARD
    zip: str = Field(pattern=r"^\d{5}$")
    lines: list[Line] = Field(min_length=1, max_length=3)
    first: Line | None = Field(None, description="The first one.")


class Card(BaseModel):
    kind: Literal["card"]
    last4: Annotated[str, Field(min_length=4, max_length=4)]


class Transfer(BaseModel):
    kind: Literal["transfer"]
    iban: str


class Paid(BaseModel):
    pay: Annotated[Card | Transfer, Field(discriminator="kind")]
    at: tuple[float, float]


class Node(BaseModel):
    name: str
    children: list["Node"] = []


UUID_TEXT = "2eb8aa08-aa98-41ea-b4aa-73b441d16380"
LINE = {"sku": "x", "amount": 19.99}
ORDER = {"id": UUID_TEXT, "paid": "2026-02-28T08:30:00Z", "due": "2026-03-01", "zip": "10115", "lines": [LINE]}
CARD = {"kind": "card", "last4": "1234"}
#: A model -> values, right and wrong; pydantic itself is asked which.
PYDANTIC: dict[str, tuple[Any, list[Any]]] = {
    "order": (
        Order,
        [
            ORDER,
            {**ORDER, "site": "https://example.org/a", "kind": "cash", "first": {**LINE, "n": 2}},
            {**ORDER, "id": "2eb8"},
            {**ORDER, "due": "2023-02-29"},
            {**ORDER, "kind": "cheque"},
            {**ORDER, "zip": "1011"},
            {**ORDER, "lines": []},
            {**ORDER, "lines": [{**LINE, "amount": 1.005}]},
            {**ORDER, "extra": 1},
            {**ORDER, "first": {"sku": ""}},
        ],
    ),
    "union": (
        Paid,
        [
            {"pay": CARD, "at": [1, 2]},
            {"pay": {"kind": "transfer", "iban": "DE1"}, "at": [1.5, 2]},
            {"pay": {"kind": "card", "iban": "DE1"}, "at": [1, 2]},
            {"pay": {"kind": "cash"}, "at": [1, 2]},
            {"pay": CARD, "at": [1]},
        ],
    ),
    "recursive": (
        Node,
        [
            {"name": "a"},
            {"name": "a", "children": [{"name": "b", "children": [{"name": "c"}]}]},
            {"name": "a", "children": [{"name": "b", "children": [{"name": None}]}]},
        ],
    ),
    "list": (list[Line], [[], [LINE], [{"sku": "x"}], {}]),
    "choice": (Literal["a", "b"] | None, ["a", None, "c"]),
}


def of_pydantic() -> list[Any]:
    found = []
    for name, (model, values) in PYDANTIC.items():
        adapter = TypeAdapter(model)
        right = [value for value in values if _accepts(adapter, value)]
        wrong = [value for value in values if value not in right]
        found.append(pytest.param(adapter.json_schema(), right, wrong, id=f"pydantic {name}"))
    return found


def _accepts(adapter: TypeAdapter[Any], value: Any) -> bool:
    try:
        adapter.validate_json(json.dumps(value), strict=True)
    except ValidationError:
        return False
    return True


def of_zod() -> list[Any]:
    values = json.loads((SUITE / "zod_values.json").read_text("utf-8"))
    lines = map(json.loads, (SUITE / "zod.jsonl").read_text("utf-8").splitlines())
    return [
        pytest.param(
            line["schema"],
            [_filled(value, line) for value in values[line["model"]]["right"]],
            values[line["model"]]["wrong"],
            id=" ".join((line["maker"], line["model"], line["way"])),
        )
        for line in lines
    ]


def _filled(value: Any, line: Any) -> Any:
    """Return a value as OpenAI's strict mode wants it, where the schema was written for that: absent is null."""
    if line["way"] != "openAi" or line["model"] != "Order":
        return value
    lines = [{"n": None, **one} for one in value["lines"]]
    return {"site": None, "bill": None, "note": None, **value, "lines": lines}


EVERY = [*of_pydantic(), *of_zod()]


@pytest.mark.parametrize(("schema", "right", "wrong"), EVERY)
def test_what_its_maker_accepts_is_accepted_and_nothing_else(schema, right, wrong):
    whole, wrapped = Validator(schema), Validator(wrap(schema))
    assert right
    for value in right:
        assert whole.misfits(value) == ()
        assert wrapped.misfits({"answer": value}) == ()
    for value in wrong:
        assert not whole.is_valid(value)
        assert not wrapped.is_valid({"answer": value})


@pytest.mark.parametrize(("schema", "right", "wrong"), EVERY)
@pytest.mark.parametrize("strict", [OPENAI, GEMINI, ANTHROPIC], ids=["OpenAI", "Gemini", "Anthropic"])
def test_a_strict_form_takes_what_the_schema_takes_and_says_only_what_the_provider_knows(strict, schema, right, wrong):
    sent = wrap(schema)
    form = strict_subset(sent, strict)
    if form is None:  # maps, and for Anthropic recursion
        assert "additionalProperties" in json.dumps(schema) or not strict.recursive
        return
    assert "$schema" not in form
    assert is_strict(form) or strict is not OPENAI
    for value in right:
        answer = _filled_in({"answer": value}, form, form) if strict.all_required else {"answer": value}
        assert Validator(form).misfits(answer) == ()
        assert Validator(sent).is_valid(without_nulls(answer, sent) if strict.all_required else answer)


def _filled_in(value: Any, schema: Any, root: Any) -> Any:
    """Return what a model has to answer where all properties are required: null for what is absent."""
    schema = _found(schema, root)
    fitting = [branch for branch in schema.get("anyOf", []) if _may_be(value, branch, root)]
    if fitting:
        return _filled_in(value, fitting[0], root)
    if isinstance(value, list):
        return [_filled_in(one, schema.get("items", {}), root) for one in value]
    if not isinstance(value, dict):
        return value
    properties = schema.get("properties", {})
    filled = {name: _filled_in(one, properties.get(name, {}), root) for name, one in value.items()}
    return {name: filled.get(name) for name in {**properties, **filled}}


def _may_be(value: Any, schema: Any, root: Any) -> bool:
    schema = _found(schema, root)
    if not isinstance(value, dict):
        return (schema.get("type") == "array") is isinstance(value, list) and schema.get("type") != "object"
    kind = schema.get("properties", {}).get("kind", {})
    return schema.get("type") == "object" and value.get("kind") in kind.get("enum", [kind.get("const")])


def _found(schema: Any, root: Any) -> Any:
    while "$ref" in schema:
        schema = pointed(root, schema["$ref"])
    return schema


def test_a_reference_that_only_its_maker_understands_is_refused_with_a_sentence():
    with pytest.raises(SchemaFault, match=r"expected a reference within the schema .* got '1/ship'"):
        Validator({"properties": {"ship": {"type": "object"}, "bill": {"$ref": "1/ship"}}})
