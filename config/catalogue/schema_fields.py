"""What a JSON Schema says about the fields of an answer, as far as it can be known without one."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic_core import from_json, to_json

from firstline.config.errors.error_messages import Flaw, Location, listed, suggestion
from firstline.schemas.base import Json, JsonObject

_OPEN = frozenset({"$ref", "$dynamicRef", "anyOf", "oneOf", "allOf", "if", "patternProperties", "dependentSchemas"})

_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")


def schema_flaws(schema: JsonObject, at: Location) -> list[Flaw]:
    """Return why `schema` is no JSON Schema (Draft 2020-12) that can be used without fetching anything."""
    return [Flaw((*at, *where), text) for where, text in _unsound(to_json(schema))]


@lru_cache(maxsize=256)
def _unsound(schema: bytes) -> tuple[tuple[Location, str], ...]:
    """Return where and why this is no schema; every job's skills are looked at, and most have been before."""
    read = from_json(schema)
    foreign = [
        (where, f"expected a reference within the schema (`#/...`), got '{ref}'") for where, ref in _foreign(read, ())
    ]
    try:
        Draft202012Validator.check_schema(read)
    except SchemaError as error:
        return (tuple(error.absolute_path), _schema_sentence(error)), *foreign
    return tuple(foreign)


def _schema_sentence(error: SchemaError) -> str:
    if list(error.absolute_path)[-1:] == ["type"] and isinstance(error.instance, str):
        return f"expected a type of JSON ({listed(_TYPES)}), got '{error.instance}'{suggestion(error.instance, _TYPES)}"
    return f"no valid JSON Schema (Draft 2020-12): {error.message}"


def value_flaws(schema: JsonObject, value: Json, at: Location) -> list[Flaw]:
    """Return where `value` breaks `schema`, which must be valid."""
    return [
        Flaw((*at, *where), f"does not fit the skill's output schema: {message}")
        for where, message in _misfits(to_json(schema), to_json(value))
    ]


@lru_cache(maxsize=1024)
def _misfits(schema: bytes, value: bytes) -> tuple[tuple[Location, str], ...]:
    found = Draft202012Validator(from_json(schema)).iter_errors(from_json(value))
    errors = sorted(found, key=lambda error: list(map(str, error.absolute_path)))
    return tuple((tuple(error.absolute_path), error.message) for error in errors)


def field_flaw(schema: JsonObject, path: str, *, owner: str) -> str | None:
    """Return why the dotted `path` cannot be in a value of `schema`; None where it can, or nobody can tell.

    Lists are looked through: `clauses.quote` and `clauses.0.quote` are the quotes of the clauses.
    """
    here: Any = schema
    for part in path.split("."):
        here = _through_lists(here)
        if not isinstance(here, Mapping) or not _OPEN.isdisjoint(here):
            return None
        if part.isdigit() or part == "*":
            continue
        known = here.get("properties")
        if known is None:
            kind = here.get("type")
            if isinstance(kind, str) and kind != "object":
                return f"{owner} is a {kind} here and has no field '{part}'"
            return None
        if part not in known:
            if here.get("additionalProperties") not in (None, False):
                return None
            return f"{owner} has no field '{part}'{suggestion(part, known) or f'; it has {listed(known)}'}"
        here = known[part]
    return None


def _through_lists(schema: Any) -> Any:
    while isinstance(schema, Mapping) and isinstance(schema.get("items"), Mapping):
        schema = schema["items"]
    return schema


def _foreign(part: object, at: Location) -> Iterator[tuple[Location, str]]:
    if isinstance(part, Mapping):
        ref = part.get("$ref")
        if isinstance(ref, str) and not ref.startswith("#"):
            yield (*at, "$ref"), ref
        for key, value in part.items():
            yield from _foreign(value, (*at, key))
    elif isinstance(part, Sequence) and not isinstance(part, str):
        for position, value in enumerate(part):
            yield from _foreign(value, (*at, position))
