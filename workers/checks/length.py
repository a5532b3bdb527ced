"""The text or list is long enough, and not too long."""

from firstline.schemas.base import Json
from firstline.schemas.check import Length


def reason(spec: Length, value: Json) -> str | None:
    """Say how long it is and how long it should be; lists and objects count elements, whatever the unit."""
    count, unit = _measure(spec, value)
    if spec.min is not None and count < spec.min:
        return f"expected at least {spec.min} {unit}, got {count}"
    if spec.max is not None and count > spec.max:
        return f"expected at most {spec.max} {unit}, got {count}"
    return None


def _measure(spec: Length, value: Json) -> tuple[int, str]:
    if isinstance(value, list | dict):
        return len(value), "elements"
    text = str(value)
    return (len(text.split()), "words") if spec.unit == "words" else (len(text), "characters")
