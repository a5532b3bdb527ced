import pytest

from firstline.config.json_schema.references import placed, pointed
from firstline.config.json_schema.validator import Validator

TREE = {
    "type": "array",
    "items": {"anyOf": [{"$ref": "#"}, {"$ref": "#/definitions/leaf"}]},
    "definitions": {"leaf": {"enum": ["x"]}, "deep": {"items": {"$ref": "#"}}},
}
POINTER = {"anyOf": [{"type": "integer"}, {"items": {"$ref": "#/anyOf/0"}}]}
ZOD = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "$ref": "#/definitions/Order",
    "definitions": {
        "Order": {
            "type": "object",
            "properties": {"a": {"type": "string"}, "b": {"$ref": "#/definitions/Order/properties/a"}},
        }
    },
}
NAMED = {
    "$id": "https://example.org/s",
    "anyOf": [
        {"$ref": "https://example.org/s#/$defs/a"},
        {"type": "array", "items": {"$ref": "https://example.org/s"}},
        {"$ref": "#b"},
    ],
    "$defs": {"a": {"type": "string"}, "b": {"$anchor": "b", "type": "null"}},
}
DOCUMENT = {
    "anyOf": [{"$ref": "inner"}],
    "$defs": {"inner": {"$id": "inner", "type": "array", "items": {"$ref": "#/$defs/x"}, "$defs": {"x": {"const": 1}}}},
}


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        pytest.param(TREE, [[["x"]], "x"], [["y"]], id="a root that is no object"),
        pytest.param(POINTER, [1, 2], ["a"], id="a pointer"),
        pytest.param(ZOD, {"a": "x", "b": "y"}, {"b": 3}, id="zod and draft-07"),
        pytest.param(NAMED, [["a", None]], [[3]], id="its own name"),
        pytest.param(DOCUMENT, [1, 1], [2], id="a document within"),
    ],
)
@pytest.mark.parametrize("pointer", ["/properties/answer", "/properties/results/items/properties/answer"])
def test_a_schema_put_into_another_means_the_same(schema, right, wrong, pointer):
    inner, root = placed(schema, pointer)
    if "results" in pointer:
        outer = {"properties": {"results": {"items": {"properties": {"answer": inner}}}}} | root

        def within(value):
            return {"results": [{"answer": value}]}
    else:
        outer = {"properties": {"answer": inner}} | root

        def within(value):
            return {"answer": value}

    for value, valid in ((right, True), (wrong, False)):
        assert Validator(schema).is_valid(value) is valid
        assert Validator(outer).is_valid(within(value)) is valid


def test_a_pointer_is_followed_through_escapes_and_lists():
    schema = {"anyOf": [{"$defs": {"a/b c": {"type": "string"}}}]}
    assert pointed(schema, "#/anyOf/0/$defs/a~1b%20c") == {"type": "string"}
    assert pointed(schema, "#") is schema
    assert pointed(schema, "#/anyOf/7") is None
    assert pointed(schema, "other#/anyOf") is None
