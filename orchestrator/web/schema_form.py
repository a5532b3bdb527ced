"""A form made from a JSON Schema, and the value that a filled-in form stands for; pure."""

import json
from collections.abc import Iterator, Mapping
from typing import Literal

from firstline.schemas.base import Frozen, Json, JsonObject
from firstline.schemas.errors import UserError
from firstline.workers.rules.json_text import read_json

#: Prefix of the form's fields, and the one field of a form that is not an object.
PREFIX = "answer."
WHOLE = "answer"

_SIMPLE: Mapping[str, Literal["text", "number", "integer", "switch"]] = {
    "string": "text",
    "number": "number",
    "integer": "integer",
    "boolean": "switch",
}


class Field(Frozen):
    """One input of a form."""

    #: Name in the form.
    name: str
    label: str
    kind: Literal["text", "number", "integer", "switch", "choice", "json"]
    #: JSON texts of the values to choose from.
    choices: tuple[str, ...] = ()
    description: str = ""
    required: bool = True
    #: What stands in it at first, as the form writes it.
    value: str = ""
    min: float | None = None
    max: float | None = None


def form_of(schema: JsonObject, value: Json = None) -> tuple[Field, ...]:
    """Return the inputs for a value of a schema, filled with `value` where one is given.

    An object has an input for each property; what is nested deeper is typed as JSON.
    """
    properties = schema.get("properties")
    if schema.get("type") == "object" and isinstance(properties, dict) and properties:
        required = _names(schema.get("required"))
        known = value if isinstance(value, dict) else {}
        return tuple(
            _field(f"{PREFIX}{name}", name, part, known.get(name), required=name in required)
            for name, part in properties.items()
            if isinstance(part, dict)
        )
    return (_field(WHOLE, "answer", schema, value, required=True),)


def _names(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _field(name: str, label: str, schema: JsonObject, value: Json, *, required: bool) -> Field:
    choices = schema.get("enum")
    kind = schema.get("type")
    field = Field(
        name=name,
        label=label,
        kind=_SIMPLE.get(kind, "json") if isinstance(kind, str) else "json",
        description=str(schema.get("description", "")),
        required=required,
        min=_number(schema.get("minimum")),
        max=_number(schema.get("maximum")),
    )
    if isinstance(choices, list):
        texts = tuple(json.dumps(choice, ensure_ascii=False) for choice in choices)
        return field.evolve(kind="choice", choices=texts, value=_json(value))
    return field.evolve(value=value if field.kind == "text" and isinstance(value, str) else _json(value))


def _number(value: Json) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _json(value: Json) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def value_of(schema: JsonObject, form: Mapping[str, str]) -> Json:
    """Return the value that a filled-in form stands for; UserError where a field cannot be read.

    Fields left empty are left out unless they are required texts. Whether the value fits is the skill's to say.
    """
    fields = form_of(schema)
    if fields[0].name == WHOLE:
        return _read(fields[0], form.get(WHOLE, ""))
    return dict(_given(fields, form))


def _given(fields: tuple[Field, ...], form: Mapping[str, str]) -> Iterator[tuple[str, Json]]:
    for field in fields:
        text = form.get(field.name, "")
        if field.kind == "switch" or text.strip() or (field.kind == "text" and field.required):
            yield field.label, _read(field, text)


def _read(field: Field, text: str) -> Json:
    match field.kind:
        case "text":
            return text
        case "switch":
            return text == "on"
    try:
        value = read_json(text)
    except ValueError:
        raise UserError(f"{field.label}: expected {_expected(field)}, got '{text[:60]}'") from None
    return value


def _expected(field: Field) -> str:
    return {"integer": "a whole number", "number": "a number", "choice": "one of the choices"}.get(field.kind, "JSON")
