"""The one door for values from outside: what JSON, databases and providers do not take is refused with the reason."""

import json
import re

from firstline.config.json_schema.bounds import size_of
from firstline.schemas.base import Json

#: Deeper values are read by some JSON readers and refused by others.
MAX_DEPTH = 100
#: No double holds a number with more digits before its point.
MAX_DIGITS = 308

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_LONG_NUMBER = re.compile(rf"\d{{{MAX_DIGITS + 1}}}")
_TOO_DEEP = f"is nested too deeply (at most {MAX_DEPTH} levels)"


def refusal(value: Json) -> tuple[str | None, int]:
    """Return why a value is not taken (None: it is), and its length as JSON in bytes (0 where it has none).

    Refused are depth, NUL characters, unpaired surrogates, NaN and infinity, and numbers beyond a double's range.
    """
    try:
        text = _encode(value)
        size = len(text.encode())
    except UnicodeEncodeError:
        return "holds half a character (an unpaired surrogate)", 0
    except ValueError:
        return "holds a number too large for JSON, or one that it does not have (NaN, infinity)", 0
    except RecursionError:
        return _TOO_DEEP, 0
    return _refusal(value, text), size


def _refusal(value: Json, text: str) -> str | None:
    if text.count("[") + text.count("{") > MAX_DEPTH and size_of(value).depth > MAX_DEPTH + 1:
        return _TOO_DEEP
    if "\\u0000" in text and any("\0" in word for word in _texts(value)):
        return "holds a NUL character; it is not text"
    if _LONG_NUMBER.search(text) and any(abs(number) >= 10**MAX_DIGITS for number in _integers(value)):
        return f"holds a number too large for JSON (over {MAX_DIGITS} digits)"
    return None


def _texts(value: Json) -> list[str]:
    return [part for part in _leaves(value) if isinstance(part, str)]


def _integers(value: Json) -> list[int]:
    return [part for part in _leaves(value) if isinstance(part, int)]


def _leaves(value: Json) -> list[Json]:
    """Return all texts, names and plain values within a value."""
    found: list[Json] = []
    pending = [value]
    while pending:
        match pending.pop():
            case dict() as fields:
                found.extend(fields)
                pending.extend(fields.values())
            case list() as elements:
                pending.extend(elements)
            case plain:
                found.append(plain)
    return found
