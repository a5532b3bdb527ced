"""Unions whose branches one property tells apart: what pydantic, zod and OpenAPI call discriminated."""

from collections.abc import Callable

from firstline.schemas.base import Json, JsonObject

#: Returns what a reference points to, or None.
Target = Callable[[str], JsonObject | None]


def union_property(schema: JsonObject, target: Target) -> tuple[str, list[Json]] | None:
    """Return the property that tells the branches of a union apart, and its values in each; None: there is none.

    Every branch must be an object that requires the property and gives it one value of its own, or several.
    """
    branches = [_followed(branch, target) for branch in _branches(schema)]
    if len(branches) < 2 or not all(branch.get("type") == "object" for branch in branches):
        return None
    for name in _required(branches[0]):
        values = [_values(branch, name, target) for branch in branches]
        flat = [value for own in values for value in own]
        if all(values) and len({repr(value) for value in flat}) == len(flat):
            return name, [own[0] if len(own) == 1 else own for own in values]
    return None


def told_apart(schema: JsonObject, target: Target) -> JsonObject:
    """Return the schema with such a union as conditions on the property: only the branch that is meant is looked at.

    It accepts the same values, in time that does not grow with the branches, and what is wrong is told of one branch.
    """
    keyword = "oneOf" if "oneOf" in schema else "anyOf"
    if (found := union_property(schema, target)) is None or {"if", "then", "else"} & schema.keys():
        return schema
    name, values = found
    known: list[Json] = [value for own in values for value in (own if isinstance(own, list) else [own])]
    conditions: list[Json] = [
        {"if": {"type": "object", "properties": {name: _is(own)}, "required": [name]}, "then": branch}
        for own, branch in zip(values, _branches(schema), strict=True)
    ]
    asked: JsonObject = {"type": "object", "properties": {name: {"enum": known}}, "required": [name]}
    rest = {key: value for key, value in schema.items() if key != keyword}
    before = rest.get("allOf")
    return rest | {"allOf": [*(before if isinstance(before, list) else []), asked, *conditions]}


def _is(own: Json) -> JsonObject:
    return {"enum": own} if isinstance(own, list) else {"const": own}


def _branches(schema: JsonObject) -> list[JsonObject]:
    if "oneOf" in schema and "anyOf" in schema:
        return []
    listed = schema.get("oneOf", schema.get("anyOf"))
    if not isinstance(listed, list) or not all(isinstance(branch, dict) for branch in listed):
        return []
    return [branch for branch in listed if isinstance(branch, dict)]


def _followed(schema: JsonObject, target: Target) -> JsonObject:
    reference = schema.get("$ref")
    return (target(reference) or {}) if isinstance(reference, str) else schema


def _required(schema: JsonObject) -> list[str]:
    listed = schema.get("required")
    return [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []


def _values(schema: JsonObject, name: str, target: Target) -> list[Json]:
    properties = schema.get("properties")
    part = properties.get(name) if isinstance(properties, dict) and name in _required(schema) else None
    if not isinstance(part, dict):
        return []
    part = _followed(part, target)
    listed = part.get("enum", [part["const"]] if "const" in part else [])
    return listed if isinstance(listed, list) and all(isinstance(value, str) for value in listed) else []
