"""A JSON Schema in words that a model follows."""

import json
from dataclasses import dataclass

from firstline.schemas.base import Json, JsonObject

#: Deeper than this an outline no longer helps; recursive schemas end here.
_DEPTH = 6
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
    outline = _Outline(schema)
    return "\n".join([f"- {outline.kind(schema)}", *outline.lines(schema, "  ", _DEPTH)])


@dataclass(frozen=True)
class _Outline:
    root: JsonObject

    def lines(self, schema: JsonObject, indent: str, depth: int) -> list[str]:
        schema = self.resolved(schema)
        if depth == 0:
            return []
        if isinstance(items := schema.get("items"), dict):
            return [f"{indent}- each: {self.kind(items)}", *self.lines(items, indent + "  ", depth - 1)]
        lines: list[str] = []
        for name, part in _mapping(schema.get("properties")).items():
            needed = "required" if name in _listing(schema.get("required")) else "optional"
            if isinstance(part, dict):
                lines.append(f"{indent}- `{name}` ({needed}): {self.kind(part)}")
                lines.extend(self.lines(part, indent + "  ", depth - 1))
        for choice in self.choices(schema):
            lines.extend(self.lines(choice, indent, depth - 1))
        return lines

    def kind(self, schema: JsonObject) -> str:
        schema = self.resolved(schema)
        said = [self.type(schema), *(text.format(schema[key]) for key, text in _BOUNDS.items() if key in schema)]
        if isinstance(words := schema.get("description"), str):
            said[-1] += f". {words}"
        return ", ".join(said)

    def type(self, schema: JsonObject) -> str:
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
                choices = self.choices(schema)
                return " or ".join(self.kind(choice) for choice in choices) if choices else _untyped(schema)

    def choices(self, schema: JsonObject) -> list[JsonObject]:
        listed = _listing(schema.get("anyOf")) or _listing(schema.get("oneOf"))
        return [choice for choice in listed if isinstance(choice, dict)]

    def resolved(self, schema: JsonObject) -> JsonObject:
        """Follow a local `$ref` (`#/$defs/name`), once: chains of references are not worth a line."""
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return schema
        found: Json = self.root
        for part in reference[2:].split("/"):
            found = found.get(part) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else schema


def _untyped(schema: JsonObject) -> str:
    return "object" if "properties" in schema else "any value"


def _mapping(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _listing(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
