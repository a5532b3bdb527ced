"""Random values that a JSON Schema allows."""

from random import Random

from rstr import Rstr

from firstline.schemas.base import Json, JsonObject

_WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "harbor", "indigo", "juniper")
_FORMATS = {
    "date": "2026-03-14",
    "date-time": "2026-03-14T09:26:53Z",
    "time": "09:26:53Z",
    "email": "ada@example.org",
    "uri": "https://example.org/",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
}
_MAX_DEPTH = 4


def fabricate(schema: JsonObject, random: Random) -> Json:
    """Return a random value of the schema: types, enums, bounds, patterns, formats, unions and local `$ref`s."""
    return _Maker(schema, random).make(schema, 0)


class _Maker:
    def __init__(self, root: JsonObject, random: Random) -> None:
        self._root = root
        self._random = random

    def make(self, schema: Json, depth: int) -> Json:
        if not isinstance(schema, dict):
            return _WORDS[0]
        schema = self._resolve(schema)
        if "const" in schema:
            return schema["const"]
        if options := _list(schema, "enum"):
            return self._random.choice(options)
        if options := _list(schema, "anyOf") or _list(schema, "oneOf"):
            return self.make(options[-1] if depth > _MAX_DEPTH else self._random.choice(options), depth)
        if parts := _list(schema, "allOf"):
            return self.make(_merge(schema, [self._resolve(part) for part in parts if isinstance(part, dict)]), depth)
        return self._of_type(_type(schema, self._random), schema, depth)

    def _of_type(self, kind: Json, schema: JsonObject, depth: int) -> Json:  # noqa: PLR0911 - a return for each type
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "integer":
                return self._integer(schema)
            case "number":
                return round(self._random.uniform(*_bounds(schema)), 2)
            case "boolean":
                return self._random.random() < 0.5
            case "null":
                return None
            case _:
                return self._string(schema)

    def _object(self, schema: JsonObject, depth: int) -> Json:
        properties = schema.get("properties")
        required = _list(schema, "required")
        if not isinstance(properties, dict):
            return {}
        wanted = [name for name in properties if depth <= _MAX_DEPTH or name in required]
        return {name: self.make(properties[name], depth + 1) for name in wanted}

    def _array(self, schema: JsonObject, depth: int) -> Json:
        least = _int(schema, "minItems", 0 if depth > _MAX_DEPTH else 1)
        most = _int(schema, "maxItems", least if depth > _MAX_DEPTH else max(least, 3))
        values: list[Json] = [
            self.make(schema.get("items", {}), depth + 1) for _ in range(self._random.randint(least, most))
        ]
        if not schema.get("uniqueItems"):
            return values
        return [value for place, value in enumerate(values) if value not in values[:place]]

    def _integer(self, schema: JsonObject) -> int:
        low, high = _bounds(schema)
        step = _int(schema, "multipleOf", 1)
        return self._random.randint(-(-int(low) // step), int(high) // step) * step

    def _string(self, schema: JsonObject) -> str:
        if isinstance(pattern := schema.get("pattern"), str):
            return str(Rstr(self._random).xeger(pattern))
        if isinstance(form := schema.get("format"), str) and form in _FORMATS:
            return _FORMATS[form]
        text = f"{self._random.choice(_WORDS)} {self._random.randint(0, 9999)}"
        return text.ljust(_int(schema, "minLength", 0), "x")[: _int(schema, "maxLength", 10_000)]

    def _resolve(self, schema: JsonObject) -> JsonObject:
        found: Json = schema
        while isinstance(found, dict) and isinstance(ref := found.get("$ref"), str):
            found = self._root
            for part in filter(None, ref.removeprefix("#").split("/")):
                found = found.get(part, {}) if isinstance(found, dict) else {}
        return found if isinstance(found, dict) else {}


def _merge(schema: JsonObject, parts: list[JsonObject]) -> JsonObject:
    merged: JsonObject = {name: value for name, value in schema.items() if name != "allOf"}
    for part in parts:
        for name, value in part.items():
            here = merged.get(name)
            merged[name] = {**here, **value} if isinstance(here, dict) and isinstance(value, dict) else value
    return merged


def _type(schema: JsonObject, random: Random) -> Json:
    kind = schema.get("type")
    if isinstance(kind, list) and kind:
        return random.choice(kind)
    return kind or ("object" if "properties" in schema else "string")


def _bounds(schema: JsonObject) -> tuple[float, float]:
    """Return inclusive bounds; an exclusive bound is moved in by 1, or by a hundredth where the range is small."""
    low, high = _number(schema, "minimum"), _number(schema, "maximum")
    above, below = _number(schema, "exclusiveMinimum"), _number(schema, "exclusiveMaximum")
    inset = 1.0 if schema.get("type") == "integer" else 0.01
    low = low if low is not None else above + inset if above is not None else None
    high = high if high is not None else below - inset if below is not None else None
    if low is None:
        low = 0.0 if high is None or high >= 0 else high - 100
    return low, high if high is not None else low + 100


def _list(schema: JsonObject, name: str) -> list[Json]:
    value = schema.get(name)
    return value if isinstance(value, list) else []


def _int(schema: JsonObject, name: str, default: int) -> int:
    value = schema.get(name)
    return value if isinstance(value, int) else default


def _number(schema: JsonObject, name: str) -> float | None:
    value = schema.get(name)
    return float(value) if isinstance(value, int | float) else None
