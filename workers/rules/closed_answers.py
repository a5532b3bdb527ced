"""Closed answers: outputs whose every field takes one of a few values, so that a classifier can give them."""

import json

from pydantic_core import to_json

from firstline.schemas.base import Json, JsonObject

#: Most values of an integer that counts as a scale.
_SCALE = 20


def open_field(schema: JsonObject) -> str | None:
    """Return the first field of an output that may hold anything, by its dotted path; None where all are closed.

    Closed are enums, constants, booleans, nulls and integers of at most 20 values; an object whose fields are. What is
    written in another way (references, unions, lists, numbers, free text) counts as open.
    """
    return _open(schema, "")


def _open(schema: Json, path: str) -> str | None:
    here = path or "the answer"
    if not isinstance(schema, dict):
        return here
    kind = schema.get("type")
    if isinstance(schema.get("enum"), list) or "const" in schema or kind in ("boolean", "null"):
        return None
    if kind == "integer":
        low, high = schema.get("minimum"), schema.get("maximum")
        bounded = isinstance(low, int) and isinstance(high, int) and high - low < _SCALE
        return None if bounded else here
    properties = schema.get("properties")
    if kind == "object" and isinstance(properties, dict) and properties:
        below = (_open(field, f"{path}.{name}" if path else name) for name, field in properties.items())
        return next((name for name in below if name is not None), None)
    return here


def item_text(inputs: JsonObject) -> str:
    """Return what a student reads of a skill's inputs: the text of each field, named where there are several."""
    texts = {name: value if isinstance(value, str) else to_json(value).decode() for name, value in inputs.items()}
    return (
        next(iter(texts.values())) if len(texts) == 1 else "\n".join(f"{name}: {text}" for name, text in texts.items())
    )


def canonical(value: Json) -> str:
    """Return an answer as text that is the same for equal answers, whatever the order of its fields."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
