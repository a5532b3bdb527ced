"""The text matches a pattern, or does not."""

from firstline.schemas.base import Json
from firstline.schemas.check import Regex
from firstline.workers.rules.json_paths import brief
from firstline.workers.rules.patterns import matches


def reason(spec: Regex, value: Json) -> str | None:
    """Say why the text (of a list: each) is not as the pattern wants it."""
    texts = [str(element) for element in (value if isinstance(value, list) else [value])]
    found = matches(spec.pattern, texts, full=spec.full, ignore_case=spec.ignore_case)
    said = (_one(spec, text, match) for text, match in zip(texts, found, strict=True))
    return next((one for one in said if one), None)


def _one(spec: Regex, text: str, match: list[str]) -> str | None:
    if spec.absent:
        return f"must not contain {brief(match[0], 60)!r}" if match else None
    how = "match as a whole" if spec.full else "contain a match of"
    return None if match else f"expected to {how} {spec.pattern}, got {brief(text, 60)!r}"
