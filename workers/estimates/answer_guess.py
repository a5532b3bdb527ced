"""How long a skill's answers will be, before any was given: by its examples, or else by the form they have."""

import json
from statistics import fmean

from firstline.schemas.base import Json, JsonObject
from firstline.schemas.skill import Skill
from firstline.workers.estimates.call_estimate import text_tokens
from firstline.workers.estimates.expectation import Spread

#: Characters of a text that is a whole answer, and of one that is a field of it.
_TEXT_CHARS, _FIELD_CHARS = 600, 100
#: Elements of a list, and levels of nesting that are looked at.
_ELEMENTS, _DEPTH = 3, 5
#: By what factor the guess may be off: by examples, for closed forms, and for those that hold free text or lists.
_BY_EXAMPLES, _CLOSED, _OPEN = 0.4, 0.3, 1.0


def stand_in(skill: Skill) -> Json:
    """Return what an answer of the skill may be: its first example's, else one made by its schema."""
    if skill.examples:
        return skill.examples[0].output
    return "x" * _TEXT_CHARS if skill.is_text else _made(skill.output)


def answer_length(skill: Skill) -> Spread:
    """Return the tokens of an answer and by what factor they may be off."""
    if skill.examples:
        return Spread(fmean(_tokens(example.output) for example in skill.examples), _BY_EXAMPLES)
    closed = not skill.is_text and _is_closed(skill.output)
    return Spread(_tokens(stand_in(skill)), _CLOSED if closed else _OPEN)


def _tokens(value: Json) -> float:
    return max(1.0, text_tokens(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))


def _made(schema: JsonObject, depth: int = 0) -> Json:
    """Return a value of about the size that a schema's values have."""
    labels, properties, kind = schema.get("enum"), schema.get("properties"), schema.get("type")
    if isinstance(labels, list) and labels:
        return max(labels, key=lambda label: len(str(label)))
    if isinstance(properties, dict) and depth < _DEPTH:
        return {name: _made(part, depth + 1) for name, part in properties.items() if isinstance(part, dict)}
    if kind == "array" and depth < _DEPTH:
        part, least, most = schema.get("items"), schema.get("minItems"), schema.get("maxItems")
        many = max(_ELEMENTS, least) if isinstance(least, int) else _ELEMENTS
        many = min(many, most) if isinstance(most, int) else many
        return [_made(part if isinstance(part, dict) else {}, depth + 1)] * many
    if kind in ("number", "integer"):
        return 1234
    if kind in ("boolean", "null"):
        return True
    longest = schema.get("maxLength")
    return "x" * (min(longest // 2, _TEXT_CHARS) if isinstance(longest, int) else _FIELD_CHARS)


def _is_closed(schema: JsonObject, depth: int = 0) -> bool:
    """Whether all of an answer is labels, numbers and yes or no."""
    properties = schema.get("properties")
    if isinstance(properties, dict) and depth < _DEPTH:
        return all(isinstance(part, dict) and _is_closed(part, depth + 1) for part in properties.values())
    return "enum" in schema or schema.get("type") in ("number", "integer", "boolean", "null")
