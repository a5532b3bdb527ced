"""The number lies within bounds."""

import math

from firstline.schemas.base import Json
from firstline.schemas.check import Range
from firstline.workers.rules.json_paths import brief


def reason(spec: Range, value: Json) -> str | None:
    """Say which bound the number (of a list: each) breaks; what is no number breaks both."""
    found = value if isinstance(value, list) else [value]
    return next((said for element in found if (said := _one(spec, element))), None)


def _one(spec: Range, value: Json) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return f"expected a number, got {brief(value, 60)}"
    if spec.min is not None and value < spec.min:
        return f"expected at least {spec.min:g}, got {value:g}"
    if spec.max is not None and value > spec.max:
        return f"expected at most {spec.max:g}, got {value:g}"
    return None
