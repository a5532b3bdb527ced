import copy
import time

import pytest

from firstline.config.json_schema.formats import unchecked
from firstline.config.json_schema.validator import SchemaFault, Validator, schema_faults


def misfits(schema, value):
    return [str(misfit) for misfit in Validator(schema).misfits(value)]


@pytest.mark.parametrize("price", [19.99, 4.02, 1.11, 300.52, 10001.12, 0.07, 0.29, 1.1, 2.3, 1999.0, 0, 1e15])
def test_prices_are_multiples_of_a_cent(price):
    assert misfits({"type": "number", "multipleOf": 0.01}, price) == []


def test_every_price_up_to_ten_thousand_is_a_multiple_of_a_cent_and_no_tenth_of_a_cent_is():
    validator = Validator({"multipleOf": 0.01})
    assert all(validator.is_valid(cents / 100) for cents in range(0, 1_000_000, 7))
    assert not any(validator.is_valid(mills / 1000) for mills in range(1, 10_000, 10))


def test_what_is_no_multiple_is_told_with_both_numbers():
    assert misfits({"multipleOf": 0.01}, 12.345) == ["12.345 is not a multiple of 0.01"]


@pytest.mark.parametrize(
    ("form", "right", "wrong"),
    [
        ("date-time", "2026-02-28T08:30:00Z", "2026-02-30T08:30:00Z"),
        ("date", "2024-02-29", "2023-02-29"),
        ("time", "08:30:00Z", "25:00:00Z"),
        ("duration", "P3DT12H", "PT1D"),
        ("uri", "https://example.org/a?b=c", "example.org"),
        ("hostname", "example.org", "-example.org"),
        ("email", "a@example.org", "a.example.org"),
        ("ipv4", "127.0.0.1", "127.0.0.256"),
        ("ipv6", "::1", "12345::"),
        ("uuid", "2eb8aa08-aa98-11ea-b4aa-73b441d16380", "2eb8aa08"),
        ("json-pointer", "/a/b", "a~"),
        ("regex", "^a$", "("),
    ],
)
def test_formats_are_checked(form, right, wrong):
    for draft in ({}, {"$schema": "http://json-schema.org/draft-07/schema#"}):
        assert misfits({**draft, "format": form}, right) == []
        assert form in misfits({**draft, "format": form}, wrong)[0]


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"properties": {"paid": {"format": "datetime"}}}, ("properties.paid.format", "did you mean 'date-time'?")),
        (
            {"items": {"$ref": "#/$defs/x"}, "$defs": {"x": {"format": "money"}}},
            ("$defs.x.format", "say with"),
        ),
        ({"anyOf": [{"type": "integer", "format": "int64"}]}, ("anyOf.0.format", "nothing checks the format 'int64'")),
        ({"properties": {"format": {"type": "string", "format": "uuid"}}, "default": {"format": "x"}}, None),
    ],
)
def test_formats_that_nothing_checks_are_told_with_their_places(schema, told):
    found = [(".".join(map(str, at)), text) for at, text in unchecked(schema)]
    assert [at for at, _ in found] == ([told[0]] if told else [])
    assert all(told[1] in text for _, text in found)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string", "nullable": True}, None),
        ({"enum": ["a"], "type": "string", "nullable": True}, None),
        ({"$ref": "#/definitions/x", "nullable": True, "definitions": {"x": {"type": "string"}}}, None),
        (
            {"allOf": [{"$ref": "#/components/schemas/x"}], "nullable": True, "components": {"schemas": {"x": False}}},
            None,
        ),
        ({"properties": {"nullable": {"type": "string"}}}, {"nullable": "a"}),
        ({"$schema": "https://json-schema.org/draft-07/schema", "items": [{"type": "string"}]}, ["a", 1]),
        ({"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 1, "exclusiveMinimum": True}, 2),
        ({"$ref": "#/properties/a", "properties": {"a": {"type": "object"}}}, {}),
        ({"$ref": "node", "$defs": {"n": {"$id": "node", "type": "string"}}}, "a"),
        ({"$ref": "#here", "$defs": {"n": {"$anchor": "here", "type": "string"}}}, "a"),
        ({"$ref": "#/$defs/a~1b%20c", "$defs": {"a/b c": {"type": "string"}}}, "a"),
    ],
)
def test_what_people_write_means_what_they_mean(schema, value):
    assert misfits(schema, value) == []


def test_nullable_allows_null_and_nothing_else():
    assert misfits({"type": "string", "nullable": True}, 3) == ["expected null, string, got integer 3"]
    assert misfits({"type": "string", "nullable": False}, None) == ["expected string, got null"]


@pytest.mark.parametrize(
    "reference",
    ["http://127.0.0.1:9/s.json", "https://example.org/s", "file:///etc/passwd", "other.json", "#/$defs/no"],
)
@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef"])
def test_nothing_is_fetched(keyword, reference):
    faults = schema_faults({"properties": {"a": {keyword: reference}}})
    assert [fault.at for fault in faults] == [("properties", "a", keyword)]
    assert "nothing is fetched" in faults[0].text


TREE = {
    "$ref": "#/$defs/Node",
    "$defs": {
        "Node": {"oneOf": [{"$ref": f"#/$defs/{name}"} for name in ("And", "Or", "Leaf")]},
        "And": {
            "type": "object",
            "properties": {"kind": {"const": "and"}, "of": {"type": "array", "items": {"$ref": "#/$defs/Node"}}},
            "required": ["kind", "of"],
        },
        "Or": {
            "type": "object",
            "properties": {"kind": {"enum": ["or", "any"]}, "of": {"type": "array", "items": {"$ref": "#/$defs/Node"}}},
            "required": ["kind", "of"],
        },
        "Leaf": {
            "type": "object",
            "properties": {"kind": {"const": "leaf"}, "n": {"type": "integer"}},
            "required": ["kind", "n"],
        },
    },
}


def tree(depth, leaf=1):
    return (
        {"kind": "and" if depth % 2 else "any", "of": [tree(depth - 1, leaf)]} if depth else {"kind": "leaf", "n": leaf}
    )


def test_a_discriminated_union_is_told_apart_and_recursion_is_followed_deep():
    assert misfits(TREE, tree(80)) == []
    assert misfits(TREE, tree(2, "x")) == ['`of.0.of.0.n`: expected integer, got string "x"']
    assert misfits(TREE, {"kind": "xor"}) == ["`kind`: expected one of and, or, any, leaf, got xor"]
    assert misfits(TREE, {"of": []}) == ["lacks kind"]
    assert misfits(TREE, 3) == ["expected object, got integer 3"]


def test_a_choice_that_a_value_is_near_names_the_fault_in_it():
    schema = {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"a": {"type": "integer"}}}]}
    assert misfits(schema, {"a": "x"}) == ['`a`: expected integer, got string "x"']


def bomb(levels):
    """Every definition holds the next one twice."""
    defs = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}, {"$ref": f"#/$defs/d{n + 1}"}]} for n in range(levels)}
    return {"$ref": "#/$defs/d0", "$defs": defs | {f"d{levels}": {"type": "string"}}}


def nested(levels):
    schema = {}
    for _ in range(levels):
        schema = {"properties": {"a": schema}}
    return schema


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        pytest.param(bomb(30), "comparisons at one place", id="definitions that multiply"),
        pytest.param({"$ref": "#"}, "refers to itself", id="itself"),
        pytest.param({"anyOf": [{"type": "null"}, {"$ref": "#"}]}, "refers to itself", id="itself in a choice"),
        pytest.param(nested(3000), "levels deep", id="deep"),
        pytest.param({"enum": ["x" * 1000] * 2000}, "bytes long", id="long"),
        pytest.param({"pattern": "(?>a)"}, "JavaScript", id="no pattern"),
        pytest.param({"pattern": "(a{1000}){1000}"}, "too many and too long", id="a pattern without end"),
        pytest.param(
            {"properties": {f"p{n}": {"pattern": rf"[\p{{L}}a]{{{n % 200}}}"} for n in range(5_000)}},
            "too many and too long",
            id="many patterns that take long to be made ready",
        ),
        pytest.param({"$schema": "http://example.org/mine"}, "expected a draft", id="no draft"),
        pytest.param({"type": "objekt"}, "did you mean 'object'", id="no type"),
        pytest.param({"exclusiveMinimum": True}, "no valid JSON Schema", id="draft 4 in 2020-12"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_at_once_with_the_reason(schema, reason):
    begun = time.monotonic()
    with pytest.raises(SchemaFault, match=reason):
        Validator(schema)
    assert time.monotonic() - begun < 5


AMBIGUOUS = copy.deepcopy(TREE)
for part in AMBIGUOUS["$defs"].values():
    part.pop("required", None)


@pytest.mark.parametrize(
    ("schema", "value", "valid"),
    [
        pytest.param({"pattern": "^(a+)+$"}, "a" * 100_000 + "b", False, id="a pattern that runs away elsewhere"),
        pytest.param({"pattern": r"^(?=(a|a)+$)(a|aa)+\1$"}, "a" * 5_000 + "b", False, id="one that goes back"),
        pytest.param({"not": {"pattern": r"^(?=(a|a)+$)(a|aa)+\1$"}}, "a" * 5_000 + "b", False, id="one within not"),
        pytest.param({"uniqueItems": True}, [{"a": n} for n in range(30_000)], True, id="many elements apart"),
        pytest.param({"items": {"type": "string"}}, list(range(100_000)), False, id="many errors"),
        pytest.param({"items": {"enum": [n + 0.5 for n in range(9_000)]}}, [0.25] * 9_000, False, id="a long enum"),
        pytest.param(AMBIGUOUS, tree(90), False, id="a union that nothing tells apart"),
    ],
)
def test_a_value_takes_a_bounded_time_whatever_the_schema(schema, value, valid):
    validator = Validator(schema)
    begun = time.monotonic()
    assert validator.is_valid(value) is valid
    assert time.monotonic() - begun < 3


def test_what_could_not_be_checked_says_so():
    assert "too many steps" in misfits({"pattern": r"^(?=(a|a)+$)(a|aa)+\1$"}, "a" * 5_000 + "b")[0]
    assert "could not be checked" in misfits(AMBIGUOUS, tree(90))[0]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("\ud800", id="half a character"),
        pytest.param({"\ud800": 1}, id="half a character as a name"),
        pytest.param(10**6000, id="six thousand digits"),
        pytest.param(float("nan"), id="nan"),
        pytest.param(float("inf"), id="infinity"),
    ],
)
def test_no_value_breaks_the_validator(value):
    assert isinstance(Validator({"type": "number", "minimum": 0}).is_valid(value), bool)


def test_a_value_nested_without_end_is_refused_before_the_engine_meets_it():
    value = []
    for _ in range(100_000):
        value = [value]
    assert "levels deep" in misfits({"items": {"$ref": "#"}}, value)[0]
    while value:
        value = value.pop()


def test_a_schema_is_left_as_it_was():
    schema = copy.deepcopy(TREE) | {"nullable": True}
    before = copy.deepcopy(schema)
    Validator(schema)
    assert schema == before
