"""What an answer's schema says of its fields, and how each of them is compared for want of another word."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as default
from enum import StrEnum
from itertools import zip_longest
from typing import Any

from firstline.config.json_schema.references import pointed
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.comparator import NOBODY, Comparator
from firstline.schemas.skill import Skill

#: Stands for the answer as a whole, where it is no object with fields.
WHOLE = ""
#: In `compare:`, all fields that neither are named nor have a comparator by their schema.
OTHERS = "*"
#: Of an enum, what each value means: editors read it by this name.
DESCRIPTIONS = "enumDescriptions"
#: Most values of an integer that counts as a scale.
_SCALE = 20
_DEEPEST = 12
#: Formats in which equal values are written alike.
_CODES = frozenset({"date", "time", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uuid"})


class FieldKind(StrEnum):
    """What a field of an answer may hold."""

    #: One of a few values: an enum, a constant, a boolean, null.
    CLOSED = "closed"
    #: An integer of a few values.
    SCALE = "scale"
    INTEGER = "integer"
    NUMBER = "number"
    #: A text that a format leaves one way to write.
    CODE = "code"
    #: A list whose elements are closed, and a list of other scalars.
    LABELS = "labels"
    SCALARS = "scalars"
    #: Anything else: prose, and what the schema does not say.
    FREE = "free"


_DEFAULTS: Mapping[FieldKind, Comparator | None] = {
    FieldKind.CLOSED: Comparator(by="exact"),
    FieldKind.SCALE: Comparator(by="exact"),
    FieldKind.CODE: Comparator(by="exact"),
    FieldKind.INTEGER: Comparator(by="number"),
    FieldKind.NUMBER: Comparator(by="number", tolerance=1e-6),
    FieldKind.LABELS: Comparator(by="set_f1"),
    FieldKind.SCALARS: Comparator(by="set_f1", at_least=0.8),
    FieldKind.FREE: None,
}
_FLAT = frozenset({FieldKind.CLOSED, FieldKind.SCALE})


@dataclass(frozen=True)
class AnswerField:
    """One field of an answer, by its dotted path."""

    path: str
    kind: FieldKind
    #: Its schema, without what only says that null will do or where it stands.
    schema: JsonObject = default(default_factory=dict)

    @property
    def labels(self) -> tuple[tuple[Json, str], ...]:
        """The values that it may take, each with what its schema says of it; none where it is not closed."""
        match self.schema:
            case {"enum": list() as values}:
                texts = _listed(self.schema, DESCRIPTIONS)
                return tuple(
                    (value, str(text or "")) for value, text in zip_longest(values, texts[: len(values)], fillvalue="")
                )
            case {"const": value}:
                return ((value, ""),)
            case {"type": "boolean"}:
                return ((True, ""), (False, ""))
            case {"type": "integer", "minimum": int(low), "maximum": int(high)} if self.kind is FieldKind.SCALE:
                return tuple((value, "") for value in range(low, high + 1))
            case _:
                return ()

    @property
    def name(self) -> str:
        """The field for people."""
        return self.path or "the answer"


def answer_fields(schema: JsonObject) -> list[AnswerField]:
    """Return the fields of an answer, those of objects one by one; lists are one field."""
    return list(_fields(schema, schema, WHOLE, _DEEPEST))


def comparators_of(skill: Skill) -> dict[str, Comparator | None]:
    """Return how each field of a skill's answers is compared, by its path; None: nobody compares it.

    What the skill declares of a field counts for all that is below it; the rest follows from the schema.
    """
    found: dict[str, Comparator | None] = {}
    for field in answer_fields(skill.output):
        above = _declared(skill, field.path)
        path = field.path if above is None else above
        chosen = skill.compare[path] if above is not None else _DEFAULTS[field.kind] or skill.compare.get(OTHERS)
        found[path] = None if chosen is None or chosen.by == NOBODY else chosen
    return found


def uncompared(skill: Skill) -> list[str]:
    """Return the fields of a skill's answers that nobody compares, for people."""
    return [path or "the answer" for path, comparator in comparators_of(skill).items() if comparator is None]


def _declared(skill: Skill, path: str) -> str | None:
    parts = path.split(".")
    above = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((name for name in (*above, WHOLE) if name in skill.compare), None)


def _fields(root: JsonObject, schema: Json, path: str, depth: int) -> Iterator[AnswerField]:
    found = _plain(root, schema, depth)
    properties = found.get("properties")
    if depth and isinstance(properties, dict) and properties and "enum" not in found:
        for name, below in properties.items():
            yield from _fields(root, below, f"{path}.{name}" if path else name, depth - 1)
    else:
        yield AnswerField(path, _kind(root, found, depth), found)


def _kind(root: JsonObject, schema: JsonObject, depth: int) -> FieldKind:
    kind = schema.get("type")
    if isinstance(schema.get("enum"), list) or "const" in schema or kind in ("boolean", "null"):
        return FieldKind.CLOSED
    match kind:
        case "integer":
            low, high = schema.get("minimum"), schema.get("maximum")
            bounded = isinstance(low, int) and isinstance(high, int) and high - low < _SCALE
            return FieldKind.SCALE if bounded else FieldKind.INTEGER
        case "number":
            return FieldKind.NUMBER
        case "string" if schema.get("format") in _CODES:
            return FieldKind.CODE
        case "array" if depth and isinstance(schema.get("items"), dict):
            return _of_list(root, schema["items"], depth - 1)
    return FieldKind.FREE


def _of_list(root: JsonObject, items: Json, depth: int) -> FieldKind:
    element = _plain(root, items, depth)
    kinds = {field.kind for field in _fields(root, element, WHOLE, depth)}
    if kinds <= _FLAT:
        return FieldKind.LABELS
    if element.get("type") in ("string", "integer", "number"):
        return FieldKind.SCALARS
    return FieldKind.FREE


def _plain(root: JsonObject, schema: Json, depth: int) -> JsonObject:
    """Return a schema without what only says that null will do or where it stands; {}: nothing is known of it."""
    here = schema if isinstance(schema, dict) else {}
    for _ in range(depth):
        branches = [part for name in ("anyOf", "oneOf", "allOf") for part in _listed(here, name) if not _is_null(part)]
        if isinstance(here.get("$ref"), str):
            here = pointed(root, str(here["$ref"])) or {}
        elif len(branches) == 1 and isinstance(branches[0], dict):
            here = {**_said(here), **branches[0]}
        elif branches and all(isinstance(branch, dict) and "const" in branch for branch in branches):
            here = {**_said(here), **_enum_of(branches)}
        else:
            break
    kinds = here.get("type")
    if isinstance(kinds, list):
        told = [kind for kind in kinds if kind != "null"]
        here = {**here, "type": told[0] if len(told) == 1 else None}
    return {} if _has_choices(here) else here


def _said(schema: JsonObject) -> JsonObject:
    return {name: schema[name] for name in ("description",) if name in schema}


def _enum_of(constants: Sequence[Any]) -> JsonObject:
    """Return an enum for constants that stand side by side, the way in which a schema describes each value."""
    texts = [one.get("description") or one.get("title") or "" for one in constants]
    return {"enum": [one["const"] for one in constants], DESCRIPTIONS: texts}


def _listed(schema: JsonObject, name: str) -> list[Json]:
    found = schema.get(name)
    return found if isinstance(found, list) else []


def _is_null(schema: Json) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "null"


def _has_choices(schema: JsonObject) -> bool:
    return "$ref" in schema or any(_listed(schema, name) for name in ("anyOf", "oneOf", "allOf"))
