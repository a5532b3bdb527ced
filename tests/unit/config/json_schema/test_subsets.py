import pytest

from firstline.config.json_schema.subsets import ANTHROPIC, GEMINI, OPENAI, strict_subset, without_nulls
from firstline.config.json_schema.validator import Validator

ORDER = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "minLength": 3, "format": "uri"},
        "note": {"type": "string"},
        "gift": {"type": ["string", "null"]},
        "total": {"type": "number", "multipleOf": 0.01, "minimum": 0},
        "kind": {"const": "order"},
        "lines": {"type": "array", "uniqueItems": True, "items": {"$ref": "#/$defs/Line"}},
    },
    "required": ["id", "lines"],
    "$defs": {
        "Line": {
            "oneOf": [
                {
                    "type": "object",
                    "properties": {"sku": {"type": "string"}, "n": {"type": "integer"}},
                    "required": ["sku"],
                },
                {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
            ]
        }
    },
}


def objects(schema):
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for part in schema.values():
            yield from objects(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from objects(part)


def keywords(schema):
    return {key for one in objects(schema) for part in one["properties"].values() for key in part} | set(schema)


def test_openais_form_requires_all_and_forbids_the_rest():
    strict = strict_subset(ORDER, OPENAI)
    for part in objects(strict):
        assert part["additionalProperties"] is False
        assert part["required"] == list(part["properties"])
    assert not keywords(strict) & {"minLength", "uniqueItems", "oneOf"}
    assert strict["properties"]["note"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert "format" not in strict["properties"]["id"]


def test_the_nulls_that_a_strict_form_asks_for_are_taken_out_and_others_stay():
    answer = {
        "id": "https://e.org/1",
        "note": None,
        "gift": None,
        "total": 1.5,
        "kind": None,
        "lines": [{"sku": "a", "n": None}, {"text": "b"}],
    }
    assert Validator(strict_subset(ORDER, OPENAI)).is_valid(answer)
    mended = without_nulls(answer, ORDER)
    assert mended == {"id": "https://e.org/1", "gift": None, "total": 1.5, "lines": [{"sku": "a"}, {"text": "b"}]}
    assert Validator(ORDER).is_valid(mended)


@pytest.mark.parametrize("strict", [OPENAI, GEMINI, ANTHROPIC])
@pytest.mark.parametrize(
    "value",
    [
        {"id": "https://e.org/1", "lines": []},
        {
            "id": "https://e.org/1",
            "lines": [{"sku": "a", "n": 2}],
            "total": 2.5,
            "note": "x",
            "gift": "y",
            "kind": "order",
        },
    ],
)
def test_what_the_schema_accepts_the_strict_form_accepts(strict, value):
    assert Validator(ORDER).is_valid(value)
    whole = {name: value.get(name) for name in ORDER["properties"]} if strict.all_required else value
    assert Validator(strict_subset(ORDER, strict)).is_valid(whole)


def test_gemini_gets_a_constant_as_a_choice_of_one():
    assert strict_subset(ORDER, GEMINI)["properties"]["kind"] == {"enum": ["order"]}


def test_an_object_whose_properties_are_not_listed_has_no_strict_form():
    assert strict_subset({"type": "object", "additionalProperties": {"type": "string"}}, OPENAI) is None
    assert strict_subset({"type": "object"}, ANTHROPIC) is None
    assert strict_subset({"type": "object"}, GEMINI) == {"type": "object"}


def test_a_recursive_schema_has_no_form_for_anthropic():
    recursive = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    assert strict_subset(recursive, ANTHROPIC) is None
    assert strict_subset(recursive, OPENAI)["properties"]["next"]["anyOf"][0] == {"$ref": "#"}


def test_beside_a_reference_nothing_is_sent():
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/A", "description": "x"}},
        "$defs": {"A": {"type": "string"}},
    }
    assert strict_subset(schema, GEMINI)["properties"]["a"] == {"$ref": "#/$defs/A"}
