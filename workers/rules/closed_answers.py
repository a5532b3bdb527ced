"""Closed answers: outputs whose every field takes one of a few values, so that a classifier can give them."""

import json

from pydantic_core import to_json

from firstline.config.catalogue.answer_fields import FieldKind, answer_fields
from firstline.schemas.base import Json, JsonObject

_CLOSED = frozenset({FieldKind.CLOSED, FieldKind.SCALE})


def open_field(schema: JsonObject) -> str | None:
    """Return the first field of an output that may hold anything, by its dotted path; None where all are closed.

    Closed are enums, constants, booleans, nulls and integers of at most 20 values; an object whose fields are.
    """
    return next((field.name for field in answer_fields(schema) if field.kind not in _CLOSED), None)


def item_text(inputs: JsonObject) -> str:
    """Return what a student reads of a skill's inputs: the text of each field, named where there are several."""
    texts = {name: value if isinstance(value, str) else to_json(value).decode() for name, value in inputs.items()}
    return (
        next(iter(texts.values())) if len(texts) == 1 else "\n".join(f"{name}: {text}" for name, text in texts.items())
    )


def canonical(value: Json) -> str:
    """Return an answer as text that is the same for equal answers, whatever the order of its fields."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
