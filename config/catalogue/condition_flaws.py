"""What is wrong with a condition before any item is seen: functions that are not there, comparisons that never hold."""

import ast
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from firstline.config.catalogue.references import Target, target_of
from firstline.config.errors.error_messages import listed, suggestion

#: What a condition may call; `workers/rules/expressions.py` evaluates them.
FUNCTIONS = ("abs", "all", "any", "bool", "float", "get", "int", "len", "lower", "max", "min", "round", "str", "sum")
#: Methods of texts that a condition may call.
METHODS = ("endswith", "lower", "split", "startswith", "strip", "upper")
_REFUSED = {
    ast.Pow: "`**`",
    ast.LShift: "`<<`",
    ast.RShift: "`>>`",
    ast.BitXor: "`^`",
    ast.BitOr: "`|` (write `or`)",
    ast.BitAnd: "`&` (write `and`)",
    ast.Invert: "`~` (write `not`)",
    ast.JoinedStr: "f-texts",
    ast.Lambda: "`lambda`",
    ast.NamedExpr: "`:=`",
    ast.Await: "`await`",
    ast.Starred: "`*`",
}
_TYPES: dict[type, tuple[str, ...]] = {
    str: ("string",),
    bool: ("boolean",),
    int: ("integer", "number"),
    float: ("number", "integer"),
    list: ("array",),
    dict: ("object",),
}

#: What a condition points at -> its JSON Schema; None where nobody can tell.
SchemaOf = Callable[[Target], Mapping[str, Any] | None]


def condition_flaws(expression: str, schema_of: SchemaOf) -> list[str]:
    """Return why a condition can never be evaluated, or never hold, whatever the items; SyntaxError for none."""
    tree = ast.parse(expression.strip(), mode="eval")
    return list(dict.fromkeys(flaw for node in ast.walk(tree) for flaw in _flaws(node, schema_of)))


def _flaws(node: ast.AST, schema_of: SchemaOf) -> Iterator[str]:
    match node:
        case ast.Call(func=ast.Name(id=name)) if name not in FUNCTIONS:
            hint = suggestion(name, FUNCTIONS) or f"; there are {listed(FUNCTIONS, most=20)}"
            yield f"there is no function '{name}'{hint}"
        case ast.Call(func=ast.Attribute(attr=name)) if name not in METHODS:
            yield f"there is no method '{name}'{suggestion(name, METHODS) or f'; there are {listed(METHODS)}'}"
        case ast.Compare():
            sides = [node.left, *node.comparators]
            for operator, left, right in zip(node.ops, sides, sides[1:], strict=False):
                yield from _comparison(operator, left, right, schema_of)
        case _ if type(node) in _REFUSED:
            yield f"a condition may not hold {_REFUSED[type(node)]}"


def _comparison(operator: ast.cmpop, left: ast.expr, right: ast.expr, schema_of: SchemaOf) -> Iterator[str]:
    """Yield why two sides can never be alike, or be put in order, where one is a field and the other is written out."""
    match operator:
        case ast.Eq() | ast.NotEq() | ast.Lt() | ast.LtE() | ast.Gt() | ast.GtE():
            ordered = not isinstance(operator, ast.Eq | ast.NotEq)
            for field, value in ((left, right), (right, left)):
                if isinstance(value, ast.Constant):
                    yield from _unlike(field, value.value, schema_of, ordered=ordered)
        case ast.In() | ast.NotIn() if isinstance(right, ast.List | ast.Tuple | ast.Set):
            for value in right.elts:
                if isinstance(value, ast.Constant):
                    yield from _unlike(left, value.value, schema_of)
        case ast.In() | ast.NotIn() if isinstance(left, ast.Constant):
            yield from _not_within(left.value, right, schema_of)


def _unlike(node: ast.expr, value: object, schema_of: SchemaOf, *, ordered: bool = False) -> Iterator[str]:
    pointed = target_of(node)
    schema = schema_of(pointed) if pointed else None
    if pointed is None or schema is None or value is None:
        return
    name = f"{pointed.name}.{pointed.field}" if pointed.field else pointed.name
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(values, list) and not ordered and not any(_same(value, one) for one in values):
        texts = [one for one in values if isinstance(one, str)]
        hint = suggestion(value, texts) if isinstance(value, str) else ""
        yield f"`{name}` is never {value!r}{hint or f'; it is one of {listed(list(map(str, values)), most=20)}'}"
        return
    kinds = _kinds(schema)
    if kinds and not kinds & set(_TYPES.get(type(value), ())):
        yield f"`{name}` is a {' or '.join(sorted(kinds))} and can never be compared with {value!r}"


def _not_within(value: object, node: ast.expr, schema_of: SchemaOf) -> Iterator[str]:
    """Yield why a value can never be among a list's elements."""
    pointed = target_of(node)
    schema = schema_of(pointed) if pointed else None
    if pointed is None or schema is None:
        return
    items = schema.get("items")
    values = items.get("enum") if _kinds(schema) == {"array"} and isinstance(items, Mapping) else None
    if isinstance(values, list) and not any(_same(value, one) for one in values):
        name = f"{pointed.name}.{pointed.field}" if pointed.field else pointed.name
        yield f"`{name}` never holds {value!r}; it holds {listed(list(map(str, values)), most=20)}"


def _same(one: object, other: object) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    """Return the types that a value may have, None's aside; empty: nobody can tell."""
    kinds = schema.get("type", ())
    return {kinds} if isinstance(kinds, str) else {kind for kind in kinds if kind != "null"}


def schema_at(schema: Mapping[str, Any], path: str | None) -> Mapping[str, Any] | None:
    """Return the schema of a field by its dotted path; None where the way there is open."""
    here: Any = schema
    for part in path.split(".") if path else ():
        here = here.get("properties", {}).get(part) if isinstance(here, Mapping) else None
    closed = isinstance(here, Mapping) and not {"$ref", "anyOf", "oneOf", "allOf", "if"} & here.keys()
    return here if closed else None
