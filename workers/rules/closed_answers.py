"""Closed answers: outputs whose every field takes one of a few values, so that a classifier can give them."""

import json

from pydantic_core import to_json

from firstline.config.catalogue.answer_fields import FieldKind, answer_fields
from firstline.schemas.base import Json, JsonObject

#: Labels of a question and questions of a call, at most, by the Decisions API.
_MOST_LABELS, _MOST_QUESTIONS = 255, 128
_CLOSED = frozenset({FieldKind.CLOSED, FieldKind.SCALE})


def open_field(schema: JsonObject) -> str | None:
    """Return the first field of an output that may hold anything, by its dotted path; None where all are closed.

    Closed are enums, constants, booleans, nulls and integers of at most 20 values; an object whose fields are.
    """
    return next((field.name for field in answer_fields(schema) if field.kind not in _CLOSED), None)


def undecidable(schema: JsonObject) -> str | None:
    """Return why a decision model cannot give answers of a schema; None: it can."""
    if name := open_field(schema):
        return f"{name} may hold anything, and a decision model only picks from labels"
    fields = answer_fields(schema)
    crowded = next((field.name for field in fields if len(field.labels) > _MOST_LABELS), None)
    if crowded:
        return f"{crowded} has more than {_MOST_LABELS} labels, the most that a decision model takes"
    if len(fields) > _MOST_QUESTIONS:
        return f"it has more than {_MOST_QUESTIONS} fields, the most that a decision model takes"
    return None if any(len(field.labels) > 1 for field in fields) else "no field of it leaves a choice"


def item_text(inputs: JsonObject) -> str:
    """Return what a student reads of a skill's inputs: the text of each field, named where there are several."""
    texts = {name: value if isinstance(value, str) else to_json(value).decode() for name, value in inputs.items()}
    return (
        next(iter(texts.values())) if len(texts) == 1 else "\n".join(f"{name}: {text}" for name, text in texts.items())
    )


def canonical(value: Json) -> str:
    """Return an answer as text that is the same for equal answers, whatever the order of its fields."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
