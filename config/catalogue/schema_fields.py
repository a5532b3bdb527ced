"""What a JSON Schema says about the fields of an answer, as far as it can be known without one."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic_core import from_json, to_json

from firstline.config.errors.error_messages import Flaw, Location, listed, suggestion
from firstline.config.json_schema.validator import schema_faults, validator_of
from firstline.schemas.base import Json, JsonObject

_OPEN = frozenset({"$ref", "$dynamicRef", "anyOf", "oneOf", "allOf", "if", "patternProperties", "dependentSchemas"})


def schema_flaws(schema: JsonObject, at: Location) -> list[Flaw]:
    """Return why `schema` is no JSON Schema that can be used as it stands, without fetching anything."""
    return [Flaw((*at, *where), text) for where, text in _unsound(to_json(schema))]


@lru_cache(maxsize=256)
def _unsound(schema: bytes) -> tuple[tuple[Location, str], ...]:
    """Return where and why this is no schema; every job's skills are looked at, and most have been before."""
    return tuple((fault.at, fault.text) for fault in schema_faults(from_json(schema)))


def value_flaws(schema: JsonObject, value: Json, at: Location) -> list[Flaw]:
    """Return where `value` breaks `schema`, which must be valid."""
    return [
        Flaw((*at, *misfit.at), f"does not fit the skill's output schema: {misfit.text}")
        for misfit in validator_of(schema).misfits(value, most=20)
    ]


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
