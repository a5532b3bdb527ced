"""How much work a schema makes at worst, known before any value is looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from jsonschema_specifications import REGISTRY
from pydantic_core import to_json
from referencing._core import Resolved, Resolver
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012, specification_with

from firstline.config.json_schema.keywords import parts
from firstline.config.json_schema.unions import union_property
from firstline.schemas.base import Json, JsonObject

MAX_BYTES = 1_000_000
MAX_DEPTH = 100
MAX_PARTS = 20_000
#: Schemas that one value may have to be held against at one place, definitions followed.
MAX_EXPANSION = 100_000
#: Comparisons that one value may take: below about 0.2 s.
MAX_WORK = 2_000_000
#: Microseconds, about, that all patterns of a schema may take to be made ready.
MAX_PATTERNS = 500_000
#: A pattern that may go back is stopped after so many steps; it counts like as many comparisons by a hundred.
BACKTRACK_STEPS = 100_000
#: Levels of a value up to which growth is told apart; deeper counts like this.
_LEVELS = 100
_ENDLESS = 10**15
#: Stand for the properties and elements that are not named.
_OTHERS, _ELEMENTS = "*", "[]"


class Size(NamedTuple):
    """Size of a value."""

    nodes: int
    depth: int


def size_of(value: Json, *, most: int = 10_000_000) -> Size:
    """Return how many values a value holds and how deep; counting stops beyond `most`."""
    level, nodes, depth = [value], 0, 0
    while level and nodes <= most:
        nodes, depth = nodes + len(level), depth + 1
        below: list[Json] = []
        for one in level:
            if isinstance(one, dict):
                below.extend(one.values())
            elif isinstance(one, list):
                below.extend(one)
        level = below
    return Size(nodes, depth)


def shape_flaw(schema: JsonObject) -> str | None:
    """Return why a schema is too large or too deep to be taken; None: it is not."""
    nodes, depth = size_of(schema, most=MAX_PARTS * 10)
    if depth > MAX_DEPTH:
        return f"is nested {depth} levels deep, at most {MAX_DEPTH} are taken; use definitions (`$defs`)"
    if nodes > MAX_PARTS * 10 or (size := len(to_json(schema))) > MAX_BYTES:
        held = f"has over {nodes:,} parts" if nodes > MAX_PARTS * 10 else f"is {size:,} bytes long"
        return f"{held}; at most {MAX_PARTS * 10:,} parts and {MAX_BYTES:,} bytes are taken"
    return None


@dataclass
class _Node:
    """One schema: what it costs itself, and the schemas that it leads to."""

    weight: int
    #: Schemas held against the same value.
    here: list[int] = field(default_factory=list)
    #: Of these only one is looked at in full: the branches of a union that a property tells apart.
    either: list[int] = field(default_factory=list)
    #: Schemas held against what the value holds, by the name that they look at.
    inside: dict[str, list[int]] = field(default_factory=dict)


class Growth:
    """The work that a schema makes of a value, by the value's depth."""

    def __init__(self, schema: JsonObject, *, backtracking: int) -> None:
        self._nodes = _graph(schema, backtracking)
        self._by_level: list[list[int]] = []

    @property
    def expansion(self) -> int | None:
        """How many comparisons one place takes; None: without end, as a schema refers to itself at the same place."""
        try:
            return self._level(0)[0]
        except RecursionError:
            return None

    def work(self, size: Size) -> int:
        """Return how many comparisons a value of this size takes at most."""
        worst = max(self._level(level)[0] for level in range(min(size.depth, _LEVELS)))
        return size.nodes * worst

    def _level(self, level: int) -> list[int]:
        while len(self._by_level) <= level:
            self._by_level.append(_next_level(self._nodes, self._by_level[-1] if self._by_level else None))
        return self._by_level[level]


#: Comparisons at one place a level below, by the name of the place.
_Below = Mapping[str, int]


def _next_level(nodes: Sequence[_Node], last: list[int] | None) -> list[int]:
    """Return for each schema the comparisons at the worst place so many levels below a value held against it."""
    known: dict[int, tuple[int, _Below]] = {}
    for place in _innermost_first(nodes):
        known[place] = _of_node(nodes[place], known, last)
    return [min(_ENDLESS, own + _worst(below)) for own, below in (known[place] for place in range(len(nodes)))]


def _of_node(node: _Node, known: Mapping[int, tuple[int, _Below]], last: list[int] | None) -> tuple[int, _Below]:
    own, below = (node.weight, {}) if last is None else (0, _names(node, last))
    for place in node.here:
        more, names = known[place]
        own, below = min(_ENDLESS, own + more), _added(below, names)
    if node.either:
        choices = [known[place] for place in node.either]
        own += max(more for more, _ in choices) + len(choices)
        names = {name: max(_at(one, name) for _, one in choices) for _, one in choices for name in one}
        below = _added(below, names)
    return own, below


def _names(node: _Node, last: list[int]) -> _Below:
    return {name: min(_ENDLESS, sum(last[place] for place in places)) for name, places in node.inside.items()}


def _at(below: _Below, name: str) -> int:
    others = _ELEMENTS if name.startswith("[") else _OTHERS if name.startswith(".") else ""
    return below[name] if name in below else below.get(others, 0)


def _added(first: _Below, second: _Below) -> _Below:
    return {name: min(_ENDLESS, _at(first, name) + _at(second, name)) for name in first.keys() | second.keys()}


def _worst(below: _Below) -> int:
    return max(below.values(), default=0)


def _innermost_first(nodes: Sequence[_Node]) -> list[int]:
    """Return the schemas so that each comes after those held against the same value; RecursionError: a circle."""
    done: dict[int, bool] = {}
    order: list[int] = []
    for start in range(len(nodes)):
        stack = [(start, False)]
        while stack:
            place, leaving = stack.pop()
            if leaving:
                done[place] = True
                order.append(place)
            elif place not in done:
                done[place] = False
                stack.append((place, True))
                for below in (*nodes[place].here, *nodes[place].either):
                    if done.get(below) is False:
                        raise RecursionError
                    stack.append((below, False))
    return order


# The graph --------------------------------------------------------------------------------------------------------


def _graph(schema: JsonObject, backtracking: int) -> list[_Node]:
    """Return the schemas that a schema leads to, itself first; references to nowhere are the engine's to refuse."""
    walk = _Walk(backtracking)
    walk.place_of(schema, _resolver(schema))
    while walk.open:
        walk.step()
    walk.join_dynamic()
    return walk.nodes


def _resolver(schema: JsonObject) -> Resolver[Any]:
    specification = specification_with(str(schema.get("$schema", "")), default=DRAFT202012)
    resource = specification.create_resource(cast("Any", schema))
    base = resource.id() or ""
    return cast("Resolver[Any]", REGISTRY.with_resource(base, resource).resolver(base))


@dataclass
class _Walk:
    backtracking: int
    nodes: list[_Node] = field(default_factory=list)
    open: list[tuple[int, JsonObject, Resolver[Any]]] = field(default_factory=list)
    _places: dict[int, int] = field(default_factory=dict)
    #: Schemas with a `$dynamicAnchor`, and those that refer to one, by its name.
    _anchors: dict[str, list[int]] = field(default_factory=dict)
    _dynamic: list[tuple[int, str]] = field(default_factory=list)

    def place_of(self, schema: JsonObject, resolver: Resolver[Any]) -> int:
        if id(schema) not in self._places:
            self._places[id(schema)] = len(self.nodes)
            self.open.append((len(self.nodes), schema, resolver))
            self.nodes.append(_Node(_weight(schema, self.backtracking)))
        return self._places[id(schema)]

    def step(self) -> None:
        place, schema, resolver = self.open.pop()
        node = self.nodes[place]
        told_apart = union_property(schema, lambda reference: _target(resolver, reference))
        for part in parts(schema):
            below = self.place_of(part.schema, _within(resolver, part.schema))
            if part.is_in_place:
                is_branch = told_apart is not None and part.keyword in ("anyOf", "oneOf")
                (node.either if is_branch else node.here).append(below)
        self._inside(node, schema)
        self._follow(place, schema, resolver)
        if {"unevaluatedProperties", "unevaluatedItems"} & schema.keys():
            node.here.extend(node.here)  # they look again at what has been looked at

    def _inside(self, node: _Node, schema: JsonObject) -> None:
        by_keyword: dict[str, list[tuple[str | int | None, int]]] = {}
        for part in parts(schema):
            if part.is_inside:
                by_keyword.setdefault(part.keyword, []).append((part.key, self._places[id(part.schema)]))

        def of(*keywords: str) -> list[int]:
            return [place for keyword in keywords for _, place in by_keyword.get(keyword, [])]

        everywhere, elements = of("patternProperties"), of("contains", "unevaluatedItems")
        node.inside[_OTHERS] = [*everywhere, *of("additionalProperties", "unevaluatedProperties")]
        node.inside[_ELEMENTS] = [*elements, *of("items", "additionalItems")]
        node.inside["names"] = of("propertyNames")
        node.inside |= {f".{name}": [place, *everywhere] for name, place in by_keyword.get("properties", [])}
        node.inside |= {f"[{name}": [place, *elements] for name, place in by_keyword.get("prefixItems", [])}

    def _follow(self, place: int, schema: JsonObject, resolver: Resolver[Any]) -> None:
        if isinstance(anchor := schema.get("$dynamicAnchor"), str):
            self._anchors.setdefault(anchor, []).append(place)
        for keyword in ("$ref", "$dynamicRef", "$recursiveRef"):
            reference = schema.get(keyword)
            if not isinstance(reference, str) or (found := _lookup(resolver, reference)) is None:
                continue
            self.nodes[place].here.append(self.place_of(found.contents, found.resolver))
            if keyword == "$dynamicRef":
                self._dynamic.append((place, reference.rpartition("#")[2]))

    def join_dynamic(self) -> None:
        for place, anchor in self._dynamic:
            self.nodes[place].here.extend(found for found in self._anchors.get(anchor, []) if found != place)


def _weight(schema: JsonObject, backtracking: int) -> int:
    values, named = schema.get("enum"), schema.get("patternProperties")
    patterns = ("pattern" in schema) + (len(named) if isinstance(named, dict) else 0)
    known = sum(map(_value_weight, values)) if isinstance(values, list) else 0
    return 1 + round(known) + patterns * backtracking


def _value_weight(value: Json) -> float:
    """Return the work of a comparison with one value of an `enum`; measured: texts are hashed, decimals are slow."""
    return 0.01 if isinstance(value, str | int) or value is None else 15 if isinstance(value, float) else 2


def _within(resolver: Resolver[Any], schema: JsonObject) -> Resolver[Any]:
    return resolver.in_subresource(DRAFT202012.create_resource(cast("Any", schema))) if "$id" in schema else resolver


def _lookup(resolver: Resolver[Any], reference: str) -> Resolved[Any] | None:
    try:
        found = resolver.lookup(reference)
    except (Unresolvable, ValueError):
        return None
    return found if isinstance(found.contents, dict) else None


def _target(resolver: Resolver[Any], reference: str) -> JsonObject | None:
    found = _lookup(resolver, reference)
    return found.contents if found else None
