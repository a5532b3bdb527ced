"""How well an output agrees with the truth that its item carries: comparators from 0 to 1."""

import json
from collections import deque
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import cast

from firstline.schemas.base import Json, JsonObject
from firstline.schemas.comparator import FUNCTION_PATH
from firstline.schemas.errors import UserError
from firstline.schemas.plan import Quality
from firstline.workers.rules.json_paths import MISSING, Absent, brief, dig
from firstline.workers.rules.user_functions import Broken, FunctionResult, call
from firstline.workers.rules.written_numbers import exact as exact_decimal
from firstline.workers.rules.written_numbers import mentions

#: What floating point leaves of a sum is no difference.
_TOLERANCE = Decimal("1e-9")


def score(quality: Quality, output: Json | Absent, item: JsonObject, *, folders: tuple[Path, ...] = ()) -> float | None:
    """Return how well an output meets its item's truth, 0..1; None where the item carries none.

    No output (`MISSING`: the item failed), or one that lacks the field looked at, scores 0. UserError when the user's
    comparator breaks.
    """
    truth = gold_of(quality, item)
    if truth is MISSING or truth is None:
        return None
    found = dig(output, quality.field) if quality.field and output is not MISSING else output
    if found is MISSING:
        return 0.0
    return compare(quality.compare, found, gold_as(truth, found, locale=quality.locale), folders=folders)


def gold_of(quality: Quality, item: JsonObject) -> Json | Absent:
    """Return the truth that an item carries, by field name or dotted path; `MISSING` where it carries none."""
    return item[quality.gold] if quality.gold in item else dig(item, quality.gold)


def gold_as(gold: Json, output: Json, *, locale: str | None = None) -> Json:
    """Return an item's truth as the type that the output has: a CSV's cells are all texts.

    What cannot be read as that type stays as it is, and equals nothing of it.
    """
    if not isinstance(gold, str):
        return json.dumps(gold) if isinstance(output, str) and isinstance(gold, int | float) else gold
    word = gold.strip().casefold()
    match output:
        case None:
            return None if word in _NOTHING else gold
        case bool():
            return _TRUTHS.get(word, gold)
        case int() | float():
            return _number_as(gold, output, locale)
        case list() | dict():
            return _parts_as(gold, output)
    return gold


_NOTHING = frozenset({"", "null", "none"})
_TRUTHS: Mapping[str, bool] = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _number_as(gold: str, output: int | float, locale: str | None) -> Json:
    found = list(mentions(gold, locale=locale))
    if len(found) != 1:
        return gold
    values = found[0].values
    same = next((value for value in values if _is_close(value, exact_decimal(output))), values[0])
    return int(same) if same == same.to_integral_value() else float(same)


def _parts_as(gold: str, output: list[Json] | dict[str, Json]) -> Json:
    """Return a list or an object from its JSON; of a list also from `a; b`, `a|b` or `a, b`."""
    try:
        read = json.loads(gold)
    except ValueError:
        read = None
    if isinstance(read, type(output)):
        return cast("Json", read)
    if not isinstance(output, list):
        return gold
    mark = next((mark for mark in ";|,\n" if mark in gold), ";")
    like = next((part for part in output if part is not None), "")
    return [gold_as(part.strip(), like) for part in gold.split(mark) if part.strip()]


def compare(by: str, output: Json, gold: Json, *, folders: tuple[Path, ...] = ()) -> float:
    """Return the likeness of two values, 0..1, by a comparator's name or a user's function (output, gold) -> 0..1.

    A user's function never meets None: nothing is like nothing, and like nothing else.
    """
    known = COMPARATORS.get(by)
    return known(output, gold) if known else _by_user(by, output, gold, folders)


def exact(output: Json, gold: Json) -> float:
    """Return 1 when the values are equal, texts without regard for case and white space, numbers by value."""
    return float(_canonical(output) == _canonical(gold))


def number(output: Json, gold: Json, *, tolerance: float = 0.0) -> float:
    """Return 1 when the last numbers in both are equal (as decimals, to nine digits), however they are written.

    `tolerance`: relative difference that is none.
    """
    ours, truth = last_number(output), last_number(gold)
    return float(ours is not None and truth is not None and _is_close(ours, truth, Decimal(str(tolerance))))


def set_f1(output: Json, gold: Json) -> float:
    """Return the F1 of two sets: lists by element, objects by (key, value); 1 when both are empty."""
    ours, truth = _elements(output), _elements(gold)
    if not ours and not truth:
        return 1.0
    return 2 * len(ours & truth) / (len(ours) + len(truth))


def last_number(value: Json) -> Decimal | None:
    """Return the last number in a text by its likeliest reading, or the number itself."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return exact_decimal(value)
    found = deque(mentions(value if isinstance(value, str) else json.dumps(value)), maxlen=1)
    return found[0].value if found else None


def _is_close(first: Decimal, second: Decimal, tolerance: Decimal = _TOLERANCE) -> bool:
    if not (first.is_finite() and second.is_finite()):
        return False
    return abs(first - second) <= max(tolerance, _TOLERANCE) * max(abs(first), abs(second))


COMPARATORS: dict[str, Callable[[Json, Json], float]] = {"exact": exact, "number": number, "set_f1": set_f1}


def _by_user(path: str, output: Json, gold: Json, folders: tuple[Path, ...]) -> float:
    if not FUNCTION_PATH.search(path):
        raise UserError(f"compare: expected {', '.join(COMPARATORS)} or a function as module:function, got {path!r}")
    if output is None or gold is None:
        return float(output is gold)
    match call(path, output, gold, folders=folders):
        case FunctionResult(int() | float() as said) if 0 <= said <= 1:
            return float(said)
        case FunctionResult(other):
            raise UserError(f"compare: {path}: expected a number from 0 to 1, got {brief(other, 60)}")
        case Broken(reason):
            raise UserError(f"compare: {reason}")


def _canonical(value: Json) -> str:
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False)


def _plain(value: Json) -> Json:
    match value:
        case str():
            return " ".join(value.casefold().split())
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_plain(part) for part in value]
        case dict():
            return {key: _plain(part) for key, part in value.items()}
        case _:
            return value


def _elements(value: Json) -> frozenset[str]:
    match value:
        case None:
            return frozenset()
        case list():
            return frozenset(map(_canonical, value))
        case dict():
            return frozenset(f"{key}={_canonical(part)}" for key, part in value.items())
        case _:
            return frozenset((_canonical(value),))
