"""The part of a schema that a provider's strict mode takes: looser or equal, so that the full schema decides here."""

from dataclasses import dataclass

from firstline.config.json_schema.dialect import latest, standard
from firstline.config.json_schema.keywords import DEFINITIONS, parts, rebuilt
from firstline.config.json_schema.references import pointed
from firstline.schemas.base import Json, JsonObject

_NAMES = frozenset({"$defs", "definitions", "$ref", "title", "description", "type", "properties", "items", "anyOf"})
_OBJECTS = frozenset({"required", "additionalProperties"})
_NUMBERS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})


@dataclass(frozen=True, slots=True)
class Strict:
    """What one provider's strict mode takes."""

    keywords: frozenset[str]
    formats: frozenset[str]
    #: Every property must be required: what may be absent is asked for as null.
    all_required: bool = False
    #: Objects must forbid further properties.
    closed: bool = True
    #: A definition may lead back to itself.
    recursive: bool = True


_FORMATS = frozenset({"date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
#: developers.openai.com/docs/guides/structured-outputs, "Supported schemas" (November 2026).
OPENAI = Strict(
    _NAMES | _OBJECTS | _NUMBERS | {"enum", "const", "pattern", "format", "minItems", "maxItems"},
    _FORMATS,
    all_required=True,
)
#: ai.google.dev/gemini-api/docs/structured-output, "JSON Schema support" (November 2026); it takes no `const`.
GEMINI = Strict(
    _NAMES | _OBJECTS | {"enum", "format", "minimum", "maximum", "minItems", "maxItems", "prefixItems"},
    frozenset({"date-time", "date", "time"}),
    closed=False,
)
#: docs.claude.com/en/docs/build-with-claude/structured-outputs, "JSON Schema limitations" (November 2026).
ANTHROPIC = Strict(
    _NAMES | _OBJECTS | {"enum", "const", "format"},
    _FORMATS | {"uri"},
    recursive=False,
)


def strict_subset(schema: JsonObject, strict: Strict) -> JsonObject | None:
    """Return the schema as a strict mode takes it; None where there is no such form.

    It accepts all that the schema accepts, and may accept more: hold the answer against the full schema. Where every
    property must be required, one that may be absent is null instead: `without_nulls` takes those out again.
    """
    whole = latest(standard(schema))
    if not strict.recursive and _is_recursive(whole):
        return None
    try:
        return rebuilt(whole, lambda part: _strict(part, strict))
    except _Open:
        return None


def without_nulls(value: Json, schema: JsonObject) -> Json:
    """Return an answer to a strict subset without the nulls that stand for absent properties of the full schema."""
    return _without_nulls(value, standard(schema), standard(schema))


class _Open(Exception):
    """An object whose properties are not listed: no strict mode takes it."""


def _strict(schema: JsonObject, strict: Strict) -> JsonObject:
    part = _merged(schema)
    if "const" in part and "const" not in strict.keywords:
        part = part | {"enum": [part["const"]]}
    kept = {keyword: value for keyword, value in part.items() if keyword in strict.keywords}
    if kept.get("format") not in strict.formats:
        kept.pop("format", None)
    if "$ref" in kept:
        return {keyword: value for keyword, value in kept.items() if keyword in ("$ref", *DEFINITIONS)}
    return _object(kept, strict) if _is_object(part) else kept


def _merged(schema: JsonObject) -> JsonObject:
    """Return the schema without `oneOf`, and without an `allOf` of one: both have a plainer form."""
    part = schema
    if isinstance(one := part.get("oneOf"), list) and "anyOf" not in part:
        part = {key: value for key, value in part.items() if key != "oneOf"} | {"anyOf": one}
    match part.get("allOf"):
        case [dict() as only] if not only.keys() & (part.keys() - {"title", "description"}):
            part = only | {key: value for key, value in part.items() if key != "allOf"}
    return part


def _object(schema: JsonObject, strict: Strict) -> JsonObject:
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict) or (schema.get("additionalProperties") not in (None, False)):
        if strict.closed:
            raise _Open
        return schema
    if strict.closed:
        schema = schema | {"additionalProperties": False}
    if not strict.all_required:
        return schema
    needed = required if isinstance(required, list) else []
    nullable = {name: part if name in needed else _or_null(part) for name, part in properties.items()}
    return schema | {"properties": nullable, "required": list(properties)}


def _or_null(schema: Json) -> Json:
    if not isinstance(schema, dict):
        return schema
    return schema if _takes_null(schema) else {"anyOf": [schema, {"type": "null"}]}


def _takes_null(schema: JsonObject) -> bool:
    kinds = schema.get("type")
    if kinds == "null" or (isinstance(kinds, list) and "null" in kinds):
        return True
    choices = schema.get("anyOf")
    return isinstance(choices, list) and any(isinstance(one, dict) and _takes_null(one) for one in choices)


def _is_object(schema: JsonObject) -> bool:
    kinds = schema.get("type")
    return kinds == "object" or (isinstance(kinds, list) and "object" in kinds) or "properties" in schema


def _is_recursive(root: JsonObject) -> bool:
    def leads_back(schema: JsonObject, above: tuple[int, ...]) -> bool:
        if id(schema) in above:
            return True
        reference = schema.get("$ref")
        target = pointed(root, reference) if isinstance(reference, str) else None
        below = [part.schema for part in parts(schema) if part.keyword not in ("$defs", "definitions")]
        return any(leads_back(one, (*above, id(schema))) for one in [*below, *([target] if target else [])])

    return leads_back(root, ())


def _without_nulls(value: Json, schema: Json, root: JsonObject) -> Json:
    if not isinstance(schema, dict):
        return value
    branches = _branches(schema, root)
    if isinstance(value, list):
        items = next((branch["items"] for branch in branches if "items" in branch), None)
        return [_without_nulls(one, items, root) for one in value]
    if not isinstance(value, dict):
        return value
    branch = _branch_of(value, branches)
    properties, required = branch.get("properties"), branch.get("required")
    if not isinstance(properties, dict):
        return value
    needed = required if isinstance(required, list) else []
    return {
        name: _without_nulls(one, properties.get(name), root)
        for name, one in value.items()
        if one is not None or name in needed or _may_be_null(properties.get(name), root)
    }


def _branches(schema: JsonObject, root: JsonObject, depth: int = 20) -> list[JsonObject]:
    """Return the schema, what it refers to, and its choices."""
    if depth == 0:
        return []
    found = [schema]
    if isinstance(reference := schema.get("$ref"), str) and (target := pointed(root, reference)):
        found += _branches(target, root, depth - 1)
    for keyword in ("anyOf", "oneOf", "allOf"):
        for one in listed if isinstance(listed := schema.get(keyword), list) else []:
            found += _branches(one, root, depth - 1) if isinstance(one, dict) else []
    return found


def _branch_of(value: JsonObject, branches: list[JsonObject]) -> JsonObject:
    """Return the object schema that lists most of a value's properties with the constants that it has."""

    def fit(branch: JsonObject) -> int:
        properties = branch.get("properties")
        known = properties if isinstance(properties, dict) else {}
        return sum(1 if _agrees(value[name], known[name]) else -9 for name in value if name in known)

    return max(branches, key=fit)


def _agrees(value: Json, schema: Json) -> bool:
    if not isinstance(schema, dict):
        return True
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    return not isinstance(values, list) or value in values or value is None


def _may_be_null(schema: Json, root: JsonObject) -> bool:
    if not isinstance(schema, dict):
        return True
    branches = _branches(schema, root)
    told = [branch for branch in branches if {"type", "enum", "const"} & branch.keys()]
    return not told or any(_takes_null(branch) or None in _values(branch) for branch in told)


def _values(schema: JsonObject) -> list[Json]:
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    return values if isinstance(values, list) else []
