"""The first check of every answer: the skill's JSON Schema (draft 2020-12 unless it names another)."""

from collections.abc import Callable
from itertools import islice
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from referencing import Registry

from firstline.schemas.base import Json, JsonObject
from firstline.schemas.skill import Skill
from firstline.workers.prompts.per_skill import PerSkill
from firstline.workers.rules.json_paths import brief

#: More errors than these confuse a model more than they help.
_ERRORS = 5
_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}


def reason(skill: Skill, value: Json) -> str | None:
    """Say in a few words, with paths, where a value departs from the skill's output schema; None: nowhere."""
    errors = list(islice(_validator(skill).iter_errors(value), _ERRORS))
    return "; ".join(dict.fromkeys(map(_told, errors))) or None


def compile_schema(schema: JsonObject) -> Validator:
    """Return a validator that checks formats and never fetches a remote reference.

    ValueError with the place when the schema is not one.
    """
    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"the output schema is not a JSON Schema: {error.json_path}: {brief(error.message)}") from None
    return kind(schema, format_checker=kind.FORMAT_CHECKER, registry=Registry())


@PerSkill
def _validator(skill: Skill) -> Validator:
    return compile_schema(skill.output)


def _told(error: ValidationError) -> str:
    # Inside anyOf and oneOf the deepest error names the real fault.
    deepest = best_match([error]) or error
    said = _SAYINGS.get(str(deepest.validator), _message)(deepest)
    path = ".".join(map(str, deepest.absolute_path))
    return f"`{path}`: {said}" if path else said


def _message(error: ValidationError) -> str:
    return brief(error.message, 200)


def _type(error: ValidationError) -> str:
    return f"expected {_listed(error.validator_value)}, got {_name(error.instance)}"


def _enum(error: ValidationError) -> str:
    return f"expected one of {_listed(error.validator_value)}, got {brief(error.instance, 60)}"


def _extra(error: ValidationError) -> str:
    known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
    extra = [name for name in cast("JsonObject", error.instance) if name not in known]
    return f"has {_listed(extra)}, allowed are {_listed(list(known))}"


def _missing(error: ValidationError) -> str:
    present, needed = cast("JsonObject", error.instance), cast("list[str]", error.validator_value)
    return f"lacks {_listed([name for name in needed if name not in present])}"


_SAYINGS: dict[str, Callable[[ValidationError], str]] = {
    "type": _type,
    "enum": _enum,
    "additionalProperties": _extra,
    "required": _missing,
}


def _listed(values: Any) -> str:
    return brief(", ".join(map(str, values)) if isinstance(values, list) else str(values), 300)


def _name(value: object) -> str:
    return "null" if value is None else f"{_TYPES.get(type(value), 'something else')} {brief(value, 40)}"
