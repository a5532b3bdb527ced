"""The text matches a pattern, or does not."""

import regex

from firstline.schemas.base import Json
from firstline.schemas.check import Regex
from firstline.workers.rules.json_paths import brief

#: A pattern that backtracks without end is stopped; Python's own `re` cannot be.
TIMEOUT_S = 0.5


def reason(spec: Regex, value: Json) -> str | None:
    """Say why the text (of a list: each) is not as the pattern wants it."""
    found = value if isinstance(value, list) else [value]
    return next((said for element in found if (said := _one(spec, str(element)))), None)


def _one(spec: Regex, text: str) -> str | None:
    pattern = regex.compile(spec.pattern, regex.IGNORECASE if spec.ignore_case else 0)
    match = (pattern.fullmatch if spec.full else pattern.search)(text, timeout=TIMEOUT_S)
    if spec.absent:
        return f"must not contain {brief(match[0], 60)!r}" if match else None
    how = "match as a whole" if spec.full else "contain a match of"
    return None if match else f"expected to {how} {spec.pattern}, got {brief(text, 60)!r}"
