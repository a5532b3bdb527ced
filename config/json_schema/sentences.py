"""What is wrong with a value, in the words that a model or a person mends it by."""

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

from jsonschema_rs import ValidationError, ValidationErrorKind

from firstline.config.errors.error_messages import Location
from firstline.config.json_schema.references import pointed
from firstline.schemas.base import Json, JsonObject

_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}


class Misfit(NamedTuple):
    """Where a value departs from its schema, and how."""

    at: Location
    text: str
    #: The keyword that it departs from.
    keyword: str = ""

    def __str__(self) -> str:
        """Return the sentence with its place: `clauses.0.quote`."""
        path = ".".join(map(str, self.at))
        return f"`{path}`: {self.text}" if path else self.text


def misfits_of(errors: Iterable[ValidationError], schema: JsonObject) -> Iterator[Misfit]:
    """Yield the errors against a schema as sentences; the properties that one value lacks are one sentence."""
    for (at, keyword), same in groupby(
        map(_deepest, errors), lambda error: (tuple(error.instance_path), _keyword(error))
    ):
        if keyword == "required":
            yield Misfit(at, f"lacks {', '.join(error.kind.value for error in same)}", keyword)
        else:
            tell = _SENTENCES.get(keyword, _message)
            yield from (Misfit(at, tell(error) + _allowed(error, schema), keyword) for error in same)


def shortened(text: str, limit: int) -> str:
    """Return a text on one line, cut to a length."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def _keyword(error: ValidationError) -> str:
    return error.kind.name


def _deepest(error: ValidationError) -> ValidationError:
    """Return the error that names the real fault: within `anyOf` and `oneOf`, that of the branch that was meant."""
    while isinstance(error.kind, ValidationErrorKind.AnyOf | ValidationErrorKind.OneOfNotValid):
        branches = [branch for branch in error.kind.context if branch]
        if not branches:
            return error
        meant = min(branches, key=lambda branch: _distance(branch, len(error.instance_path)))
        if _distance(meant, len(error.instance_path))[0] and len(branches) > 1:
            return error
        error = min(meant, key=lambda one: -len(one.instance_path))
    return error


def _distance(branch: list[ValidationError], depth: int) -> tuple[int, int]:
    """Return how far a value is from a branch: another type or constant is far, few faults deep within are near."""
    far = sum(_is_far(error, depth) for error in branch)
    return far, len(branch)


def _is_far(error: ValidationError, depth: int) -> bool:
    here = len(error.instance_path) - depth
    return (here == 0 and error.kind.name == "type") or (here <= 1 and error.kind.name in ("const", "enum"))


def _message(error: ValidationError) -> str:
    if isinstance(error.kind, ValidationErrorKind.BacktrackLimitExceeded | ValidationErrorKind.RegexEngineFailure):
        return "could not be checked: the pattern takes too many steps on this text"
    return shortened(error.message, 200)


def _pattern(error: ValidationError) -> str:
    if isinstance(error.kind, ValidationErrorKind.Pattern):
        return f"expected a text that matches {shortened(error.kind.pattern, 100)}, got {_shown(error.instance, 60)}"
    return _message(error)


def _type(error: ValidationError) -> str:
    return f"expected {_listed(error.kind.value)}, got {_name(error.instance)}"


def _enum(error: ValidationError) -> str:
    return f"expected one of {_listed(error.kind.value)}, got {shortened(_bare(error.instance), 60)}"


def _const(error: ValidationError) -> str:
    return f"expected {_shown(error.kind.value, 100)}, got {_shown(error.instance, 60)}"


def _extra(error: ValidationError) -> str:
    return f"has {_listed(error.kind.value)}"


def _allowed(error: ValidationError, schema: JsonObject) -> str:
    """Return the properties that an object may have, where it has others."""
    if error.kind.name not in ("additionalProperties", "unevaluatedProperties"):
        return ""
    here: Json = schema
    for part in error.evaluation_path[:-1]:
        if isinstance(here, list):
            here = here[int(part)]
        elif isinstance(here, dict):
            here = here.get(str(part))
            here = pointed(schema, here) if part == "$ref" and isinstance(here, str) else here
    known = here.get("properties") if isinstance(here, dict) else None
    return f", allowed are {_listed(list(known))}" if isinstance(known, dict) and known else ", which is not allowed"


def _multiple(error: ValidationError) -> str:
    return f"{_shown(error.instance, 40)} is not a multiple of {error.kind.value}"


def _format(error: ValidationError) -> str:
    wanted = error.kind.value
    return f"{_shown(error.instance, 60)} is no `{wanted}`{_FORMATS.get(wanted, '')}"


def _choice(error: ValidationError) -> str:
    return f"{_shown(error.instance, 60)} fits none of the forms that the schema allows here"


_FORMATS = {
    "date": ", such as 2026-01-31",
    "date-time": ", such as 2026-01-31T08:30:00Z (with its time zone)",
    "time": ", such as 08:30:00Z (with its time zone)",
    "duration": ", such as P3DT12H",
    "uri": ", such as https://example.org/page",
    "email": ", such as name@example.org",
}

_SENTENCES: dict[str, Callable[[ValidationError], str]] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "additionalProperties": _extra,
    "unevaluatedProperties": _extra,
    "multipleOf": _multiple,
    "format": _format,
    "anyOf": _choice,
    "pattern": _pattern,
}


def _listed(values: Any) -> str:
    return shortened(", ".join(map(_bare, values)) if isinstance(values, list) else _bare(values), 300)


def _bare(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _shown(value: object, limit: int) -> str:
    return shortened(json.dumps(value, ensure_ascii=False, default=str), limit)


def _name(value: object) -> str:
    return "null" if value is None else f"{_TYPES.get(type(value), 'something else')} {_shown(value, 40)}"
