"""The value is one of those allowed."""

from firstline.schemas.base import Json
from firstline.schemas.check import OneOf
from firstline.workers.rules.json_paths import brief


def reason(spec: OneOf, value: Json) -> str | None:
    """Say which value is not allowed; lists: each element is looked at."""
    found = value if isinstance(value, list) else [value]
    strange = [element for element in found if not any(_same(element, allowed) for allowed in spec.values)]
    if not strange:
        return None
    allowed = brief(", ".join(map(str, spec.values)), 300)
    return f"expected one of {allowed}, got {', '.join(brief(element, 60) for element in strange[:5])}"


def _same(left: Json, right: Json) -> bool:
    # In Python True == 1; in JSON they differ.
    return left == right and isinstance(left, bool) == isinstance(right, bool)
