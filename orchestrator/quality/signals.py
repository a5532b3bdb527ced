"""The free signals of confidence that an answer of some form can give."""

from typing import Any

from firstline.schemas.base import JsonObject
from firstline.schemas.policy import Signal


def signals_for(output: JsonObject) -> tuple[Signal, ...]:
    """Return the free signals that an answer of this form can give: between labels where it has some."""
    labels = (Signal(kind="margin"),) if _has_enum(output) else ()
    return (*labels, Signal(kind="mean_logprob"))


def _has_enum(schema: Any) -> bool:
    if isinstance(schema, dict):
        return "enum" in schema or any(_has_enum(part) for part in schema.values())
    return isinstance(schema, list) and any(_has_enum(part) for part in schema)
