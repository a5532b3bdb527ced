"""Dotted paths into JSON values, such as `slots.date`."""

from enum import Enum
from typing import Final, Literal

from firstline.schemas.base import Json


class Missing(Enum):
    """The type of `MISSING`: nothing stands there, which is not the same as null."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING
Absent = Literal[Missing.MISSING]


def dig(value: Json, path: str) -> Json | Absent:
    """Return what a path leads to; a number counts into a list, from 0. `MISSING` where it leads nowhere."""
    found: Json | Absent = value
    for part in path.split("."):
        found = MISSING if found is MISSING else _step(found, part)
    return found


def reach(value: Json, path: str | None) -> tuple[tuple[str, Json], ...]:
    """Return every place that a path leads to, with its own path; a list on the way is followed into each element.

    `clauses.quote` reaches `clauses.0.quote`, `clauses.1.quote`, ...; no path reaches the whole value, named "".
    """
    places: list[tuple[str, Json]] = [("", value)]
    for part in path.split(".") if path else ():
        places = [place for where, found in places for place in _branches(where, found, part)]
    return tuple(places)


def texts(value: Json) -> tuple[str, ...]:
    """Return every text in a value, in order; keys are not texts."""
    match value:
        case str():
            return (value,)
        case list():
            return tuple(text for part in value for text in texts(part))
        case dict():
            return tuple(text for part in value.values() for text in texts(part))
        case _:
            return ()


def brief(value: object, limit: int = 120) -> str:
    """Return a value as a short single line for messages."""
    line = " ".join(str(value).split()) if isinstance(value, str) else repr(value)
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def _step(value: Json, part: str) -> Json | Absent:
    match value:
        case dict():
            return value.get(part, MISSING)
        case list() if part.isdecimal() and int(part) < len(value):
            return value[int(part)]
        case _:
            return MISSING


def _branches(where: str, value: Json, part: str) -> list[tuple[str, Json]]:
    if isinstance(value, list) and not part.isdecimal():
        return [found for n, element in enumerate(value) for found in _branches(_join(where, str(n)), element, part)]
    found = _step(value, part)
    return [] if found is MISSING else [(_join(where, part), found)]


def _join(where: str, part: str) -> str:
    return f"{where}.{part}" if where else part
