"""A JSON Schema in words that a model follows."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from firstline.config.json_schema.dialect import standard
from firstline.config.json_schema.references import pointed
from firstline.schemas.base import Json, JsonObject

#: Deeper than this an outline no longer helps; recursive schemas end here.
_DEPTH = 6
#: Longer outlines are cut: definitions that lead to definitions multiply.
_LINES = 300
#: Choices of choices are told so deep.
_CHOICES = 4
_BOUNDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} elements",
    "maxItems": "at most {} elements",
    "pattern": "matching {}",
    "format": "format {}",
}
_TYPES = {"string": "text", "null": "null", "array": "list", "boolean": "true or false", "integer": "whole number"}


def describe(schema: JsonObject) -> str:
    """Return an outline of the schema: a line a property, indented as the values are nested."""
    whole = standard(schema)
    outline = _Outline(whole)
    lines = list(islice(outline.lines(whole, "  ", _DEPTH), _LINES + 1))
    shown = lines if len(lines) <= _LINES else [*lines[:_LINES], "  - ..."]
    return "\n".join([f"- {outline.kind(whole)}", *shown])


@dataclass(frozen=True)
class _Outline:
    root: JsonObject

    def lines(self, schema: JsonObject, indent: str, depth: int) -> Iterator[str]:
        schema = self.resolved(schema)
        if depth == 0:
            return
        if isinstance(items := schema.get("items"), dict):
            yield f"{indent}- each: {self.kind(items)}"
            yield from self.lines(items, indent + "  ", depth - 1)
            return
        for name, part in _mapping(schema.get("properties")).items():
            needed = "required" if name in _listing(schema.get("required")) else "optional"
            if isinstance(part, dict):
                yield f"{indent}- `{name}` ({needed}): {self.kind(part)}"
                yield from self.lines(part, indent + "  ", depth - 1)
        for choice in self.choices(schema):
            yield from self.lines(choice, indent, depth - 1)

    def kind(self, schema: JsonObject, depth: int = _CHOICES) -> str:
        schema = self.resolved(schema)
        said = [self.type(schema, depth), *(text.format(schema[key]) for key, text in _BOUNDS.items() if key in schema)]
        if isinstance(words := schema.get("description"), str):
            said[-1] += f". {words}"
        return ", ".join(said)

    def type(self, schema: JsonObject, depth: int) -> str:
        match schema:
            case {"enum": list() as values}:
                return f"one of {', '.join(json.dumps(value, ensure_ascii=False) for value in values)}"
            case {"const": value}:
                return f"always {json.dumps(value, ensure_ascii=False)}"
            case {"type": str() as name}:
                return _TYPES.get(name, name)
            case {"type": list() as names}:
                return " or ".join(_TYPES.get(str(name), str(name)) for name in names)
            case _:
                choices = self.choices(schema) if depth else []
                return " or ".join(self.kind(choice, depth - 1) for choice in choices) if choices else _untyped(schema)

    def choices(self, schema: JsonObject) -> list[JsonObject]:
        listed = _listing(schema.get("anyOf")) or _listing(schema.get("oneOf"))
        return [choice for choice in listed if isinstance(choice, dict)]

    def resolved(self, schema: JsonObject) -> JsonObject:
        """Follow a local reference, once: chains of references are not worth a line."""
        reference = schema.get("$ref")
        return (pointed(self.root, reference) if isinstance(reference, str) else None) or schema


def _untyped(schema: JsonObject) -> str:
    return "object" if "properties" in schema else "any value"


def _mapping(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _listing(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
