"""Where schemas stand in a schema: the keywords of drafts 4 to 2020-12, and a walk that leaves data alone."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from firstline.schemas.base import Json, JsonObject

#: Keywords whose schemas look at the same value as the schema that holds them.
IN_PLACE = frozenset({"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies"})
#: Keywords whose schemas look at what the value holds.
_INSIDE = frozenset(
    {"properties", "patternProperties", "additionalProperties", "propertyNames", "unevaluatedProperties"}
    | {"items", "prefixItems", "additionalItems", "contains", "unevaluatedItems"}
)
#: Keywords that hold definitions, looked at where something refers to them.
DEFINITIONS = frozenset({"$defs", "definitions"})
#: Keywords that hold schemas by name: those names are no keywords.
_NAMED = frozenset({"properties", "patternProperties", "dependentSchemas", "dependencies", *DEFINITIONS})
#: Keywords that hold data, which may look like a schema and is none.
_DATA = frozenset({"enum", "const", "default", "examples", "example", "required", "dependentRequired", "type"})


class Part(NamedTuple):
    """A schema within a schema, and where it stands there."""

    keyword: str
    #: Name of a property, place in a list, or None.
    key: str | int | None
    schema: JsonObject

    @property
    def steps(self) -> tuple[str | int, ...]:
        """The way to it from the schema around it."""
        return (self.keyword,) if self.key is None else (self.keyword, self.key)

    @property
    def is_in_place(self) -> bool:
        """Whether it looks at the same value as the schema around it."""
        return self.keyword in IN_PLACE

    @property
    def is_inside(self) -> bool:
        """Whether it looks at what the value holds."""
        return self.keyword in _INSIDE


def parts(schema: JsonObject) -> Iterator[Part]:
    """Yield the schemas that stand in a schema; what an unknown keyword holds counts, as references may point there."""
    for keyword, value in schema.items():
        if keyword in _DATA:
            continue
        if isinstance(value, list):
            yield from (Part(keyword, place, one) for place, one in enumerate(value) if isinstance(one, dict))
        elif isinstance(value, dict) and keyword in _NAMED:
            yield from (Part(keyword, name, one) for name, one in value.items() if isinstance(one, dict))
        elif isinstance(value, dict):
            yield Part(keyword, None, value)


Change = Callable[[JsonObject], JsonObject]


def rebuilt(
    schema: JsonObject, change: Change, *, leave: Callable[[JsonObject], bool] = lambda part: False
) -> JsonObject:
    """Return the schema with every schema in it changed, from the inside out; parts to `leave` are kept whole."""

    def of(keyword: str, value: Json) -> Json:
        if keyword in _DATA:
            return value
        if isinstance(value, list):
            return [one(part) for part in value]
        if isinstance(value, dict) and keyword in _NAMED:
            return {name: one(part) for name, part in value.items()}
        return one(value)

    def one(part: Json) -> Json:
        if not isinstance(part, dict) or leave(part):
            return part
        return change({keyword: of(keyword, value) for keyword, value in part.items()})

    return change({keyword: of(keyword, value) for keyword, value in schema.items()})
