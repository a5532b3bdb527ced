"""Conditions and expressions of a plan or a skill, evaluated with simpleeval: bounded, and errors are data."""

import ast
import operator
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import isfinite
from typing import Any

from simpleeval import DEFAULT_OPERATORS, EvalWithCompoundTypes

from firstline.schemas.base import Json
from firstline.workers.rules.json_paths import brief

#: Longer expressions are a program, not a condition.
MAX_CHARS = 2_000
_MAX_DIGITS = 300
#: Characters and elements that one expression may touch, over all its loops; about a second.
_MAX_TOUCHED = 50_000_000
#: Seconds of its thread's CPU: what is compared may nest, and costs more than it is long.
_MAX_CPU_S = 1.0
_METHODS = frozenset({"lower", "upper", "strip", "startswith", "endswith", "split"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an expression came to: a value, or why there is none."""

    value: object = None
    error: str | None = None

    @property
    def holds(self) -> bool:
        """Whether the expression is true; an error is not."""
        return self.error is None and bool(self.value)


def evaluate(expression: str, names: Mapping[str, Json]) -> Outcome:
    """Evaluate an expression over `names` (`item`, `answer`, earlier steps' answers by name).

    Attributes read keys (`classify.intent`); those of None (a skipped step) are None, and a key that is not there is an
    error, so that a typing mistake shows; `get(answer, "key", default)` asks without one. Safe functions: see
    `FUNCTIONS`. Numbers are as exact as their literals (`0.1 + 0.2 == 0.3`). No power or shift, no formatting, no
    repeated texts, at most 10,000 loop rounds.
    """
    parsed = _parse(expression)
    if isinstance(parsed, str):
        return Outcome(error=parsed)
    try:
        return Outcome(_plain(_Evaluator(names).eval(expression, parsed)))
    except RecursionError:
        return Outcome(error=f"`{brief(expression)}` is nested too deeply")
    except Exception as error:  # whatever an expression does is its author's error, never ours
        return Outcome(error=f"`{brief(expression)}`: {brief(str(error)) or type(error).__name__}")


def holds(when: str | None, item: Json, settled: Mapping[str, Json], skipped: Iterable[str] = ()) -> Outcome:
    """Evaluate a step's `when` over its item and the earlier steps; None holds, and skipped steps are None."""
    if when is None:
        return Outcome(True)
    return evaluate(when, {**dict.fromkeys(skipped), **settled, "item": item})


def names_in(expression: str) -> frozenset[str]:
    """Return the names that an expression reads, functions and its own loop variables left out; empty if malformed."""
    parsed = _parse(expression)
    if isinstance(parsed, str):
        return frozenset()
    names = [node for node in ast.walk(parsed) if isinstance(node, ast.Name)]
    bound = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    return frozenset(node.id for node in names) - bound - FUNCTIONS.keys()


@lru_cache(maxsize=512)
def _parse(expression: str) -> ast.expr | str:
    if len(expression) > MAX_CHARS:
        return f"an expression takes at most {MAX_CHARS} characters, got {len(expression)}"
    try:
        return ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return f"`{brief(expression)}` is not an expression: {error}"


def _get(value: Json, key: str, default: Json = None) -> Json:
    return value.get(key, default) if isinstance(value, dict) else default


def _lower(value: Json) -> str:
    return str(value).lower()


def _exact(value: Any) -> Any:
    """Return a value with its floats as the fractions that their literals say: 0.1 is a tenth, and 0.1 + 0.2 is 0.3."""
    match value:
        case float() if isfinite(value):
            return Fraction(repr(value))
        case list() | tuple():
            return [_exact(part) for part in value]
        case dict():
            return {key: _exact(part) for key, part in value.items()}
        case _:
            return value


def _plain(value: Any) -> Any:
    """Undo `_exact`."""
    match value:
        case Fraction():
            return value.numerator if value.denominator == 1 else float(value)
        case list() | tuple():
            return [_plain(part) for part in value]
        case dict():
            return {key: _plain(part) for key, part in value.items()}
        case _:
            return value


def _sum(values: Iterable[Any], start: Any = 0) -> Any:
    return sum(map(_exact, values), start)


def _str(value: Any) -> str:
    return str(_plain(value))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "len": len,
    "min": min,
    "max": max,
    "sum": _sum,
    "abs": abs,
    "round": round,
    "any": any,
    "all": all,
    "lower": _lower,
    "get": _get,
    "int": int,
    "float": float,
    "str": _str,
    "bool": bool,
}


def _numbers_only(of: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Keep an operator from texts and lists (`"%999999999d" % 1`) and from numbers without end."""

    def bounded(left: Any, right: Any) -> Any:
        if not isinstance(left, int | float | Fraction) or not isinstance(right, int | float | Fraction):
            raise TypeError(f"expected numbers, got {brief(left, 40)} and {brief(right, 40)}")
        if abs(left) > 10**_MAX_DIGITS or abs(right) > 10**_MAX_DIGITS:
            raise ValueError("the numbers grow too large")
        return of(left, right)

    return bounded


_OPERATORS = {
    node: function
    for node, function in DEFAULT_OPERATORS.items()
    if node not in (ast.Pow, ast.LShift, ast.RShift, ast.BitXor, ast.BitOr, ast.BitAnd, ast.Invert)
} | {
    ast.Mod: _numbers_only(operator.mod),
    ast.Mult: _numbers_only(operator.mul),
    ast.Div: lambda left, right: Fraction(_exact(left)) / Fraction(_exact(right)),
    ast.Eq: lambda left, right: _exact(left) == _exact(right),
    ast.NotEq: lambda left, right: _exact(left) != _exact(right),
    ast.In: lambda left, right: _exact(left) in _exact(right),
    ast.NotIn: lambda left, right: _exact(left) not in _exact(right),
}


class _Evaluator(EvalWithCompoundTypes):  # type: ignore[misc]
    def __init__(self, names: Mapping[str, Json]) -> None:
        super().__init__(operators=_OPERATORS, functions=FUNCTIONS.copy(), names={**names})
        self.functions = FUNCTIONS
        self.nodes[ast.Attribute] = self._attribute
        for formatting in (ast.JoinedStr, ast.FormattedValue):
            self.nodes.pop(formatting, None)
        self._touched = 0
        self._until_s = time.thread_time() + _MAX_CPU_S

    def _eval(self, node: ast.AST) -> object:
        value = super()._eval(node)
        if time.thread_time() > self._until_s:
            raise ValueError("it takes too long")
        if isinstance(value, str | list | dict):
            self._touched += len(value)
            if self._touched > _MAX_TOUCHED:
                raise ValueError("it takes too long")
        return _exact(value) if isinstance(value, float) else value

    def _attribute(self, node: ast.Attribute) -> object:
        # A key comes before a method: an answer may well have fields named `items` or `count`.
        value = self._eval(node.value)
        match value:
            case None:
                return None
            case dict() if node.attr in value:
                return value[node.attr]
            case dict():
                raise LookupError(f"no '{node.attr}' there, only {', '.join(map(str, value)) or 'nothing'}")
            case str() if node.attr in _METHODS:
                return getattr(value, node.attr)
            case _:
                raise TypeError(f"'{node.attr}' cannot be read from {brief(value, 40)}")
