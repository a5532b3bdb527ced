"""How well an output agrees with the truth that its item carries: comparators from 0 to 1."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

from firstline.schemas.base import Json, JsonObject
from firstline.schemas.errors import UserError
from firstline.schemas.plan import Quality
from firstline.workers.rules.json_paths import MISSING, Absent, brief, dig
from firstline.workers.rules.user_functions import Broken, Returned, call

_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:[eE][-+]?\d+)?")


def score(quality: Quality, output: Json | Absent, item: JsonObject, *, folders: tuple[Path, ...] = ()) -> float | None:
    """Return how well an output meets its item's truth, 0..1; None where the item carries none.

    No output (`MISSING`: the item failed), or one that lacks the field looked at, scores 0. UserError when the user's
    comparator breaks.
    """
    truth = gold_of(quality, item)
    if truth is MISSING or truth is None:
        return None
    found = dig(output, quality.field) if quality.field and output is not MISSING else output
    return 0.0 if found is MISSING else compare(quality.compare, found, truth, folders=folders)


def gold_of(quality: Quality, item: JsonObject) -> Json | Absent:
    """Return the truth that an item carries, by field name or dotted path; `MISSING` where it carries none."""
    return item[quality.gold] if quality.gold in item else dig(item, quality.gold)


def compare(by: str, output: Json, gold: Json, *, folders: tuple[Path, ...] = ()) -> float:
    """Return the likeness of two values, 0..1, by a comparator's name or a user's function (output, gold) -> 0..1.

    A user's function never meets None: nothing is like nothing, and like nothing else.
    """
    known = COMPARATORS.get(by)
    return known(output, gold) if known else _by_user(by, output, gold, folders)


def exact(output: Json, gold: Json) -> float:
    """Return 1 when the values are equal, texts without regard for case and white space, numbers by value."""
    return float(_canonical(output) == _canonical(gold))


def number(output: Json, gold: Json) -> float:
    """Return 1 when the last numbers in both are equal (relative tolerance 1e-6), thousands' commas or not."""
    ours, truth = last_number(output), last_number(gold)
    return float(ours is not None and truth is not None and math.isclose(ours, truth, rel_tol=1e-6, abs_tol=1e-9))


def set_f1(output: Json, gold: Json) -> float:
    """Return the F1 of two sets: lists by element, objects by (key, value); 1 when both are empty."""
    ours, truth = _elements(output), _elements(gold)
    if not ours and not truth:
        return 1.0
    return 2 * len(ours & truth) / (len(ours) + len(truth))


def last_number(value: Json) -> float | None:
    """Return the last number in a text, or the number itself."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return float(value)
    text = value if isinstance(value, str) else json.dumps(value)
    found = [match[0] for match in _NUMBER.finditer(text) if any(map(str.isdecimal, match[0]))]
    return float(found[-1].replace(",", "")) if found else None


COMPARATORS: dict[str, Callable[[Json, Json], float]] = {"exact": exact, "number": number, "set_f1": set_f1}


def _by_user(path: str, output: Json, gold: Json, folders: tuple[Path, ...]) -> float:
    if not re.search(r"[.:]", path):
        raise UserError(f"compare: expected {', '.join(COMPARATORS)} or a function as module:function, got {path!r}")
    if output is None or gold is None:
        return float(output is gold)
    match call(path, output, gold, folders=folders):
        case Returned(int() | float() as said) if 0 <= said <= 1:
            return float(said)
        case Returned(other):
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
