"""The text is a date, within bounds."""

from datetime import date, datetime

from firstline.schemas.base import Json
from firstline.schemas.check import Date
from firstline.workers.rules.json_paths import brief


def reason(spec: Date, value: Json) -> str | None:
    """Say why the text (of a list: each) is no date of that format, or which bound it breaks."""
    found = value if isinstance(value, list) else [value]
    return next((said for element in found if (said := _one(spec, element))), None)


def _one(spec: Date, value: Json) -> str | None:
    day = _parse(spec, value)
    if day is None:
        return f"expected a date like {_sample(spec)}, got {brief(value, 60)}"
    if spec.after and day < date.fromisoformat(spec.after):
        return f"expected {spec.after} or later, got {day}"
    if spec.before and day > date.fromisoformat(spec.before):
        return f"expected {spec.before} or earlier, got {day}"
    return None


def _parse(spec: Date, value: Json) -> date | None:
    text = str(value)
    try:
        return (datetime.strptime(text, spec.format) if spec.format else datetime.fromisoformat(text)).date()
    except ValueError:
        return None


def _sample(spec: Date) -> str:
    return datetime(2026, 1, 31).strftime(spec.format) if spec.format else "2026-01-31"
