"""Reads JSON from outside within bounds, and mends only what loses nothing: each letter, digit and sign stays."""

import math
import re
from dataclasses import dataclass, field

import jiter
from pydantic import TypeAdapter
from pydantic_core import to_json

from firstline.schemas.base import Json

_JSON = TypeAdapter[Json](Json)
#: Levels that a value may be nested: every reader and writer between a provider and a database takes as many.
MAX_DEPTH = 100
#: Characters of a text that is read at all.
MAX_CHARS = 8_000_000
#: Digits of a whole number that is kept exactly.
MAX_DIGITS = 1_000

#: What the fast reader takes in another way than is promised here: it is read by hand.
_SUSPECT = re.compile(r"\x00|\\u0000|[0-9.][eE][-+]?[0-9]|-0(?![0-9.])|[0-9]{300}")
_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORD = re.compile(r"[^\W\d]\w*")
_LITERALS: dict[str, Json] = {"true": True, "false": False, "null": None}
_PYTHON: dict[str, Json] = {"True": True, "False": False, "None": None}
_QUOTES = {'"': '"', "'": "'", "“": "”"}
_PLAIN = {end: re.compile(rf"[^{end}\\]*") for end in _QUOTES.values()}
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_UNICODE = re.compile(r"\\u([0-9a-fA-F]{4})")
_CONTROL = re.compile(r"[\x00-\x1f]")


class Unreadable(ValueError):
    """A text that is no JSON which could be kept: where, and why."""

    def __init__(self, why: str, at: int) -> None:
        super().__init__(f"{why} (at character {at + 1})")
        self.why, self.at = why, at


@dataclass(frozen=True, slots=True)
class Leaf:
    """A text, number, true, false or null without its quotation marks: `text[start:end]`, and the way to it."""

    path: tuple[str, ...]
    start: int
    end: int
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """A value and where it stands in its text."""

    value: Json
    start: int
    end: int
    #: What had to be mended, in words for people.
    mends: tuple[str, ...] = ()
    leaves: tuple[Leaf, ...] = ()
    #: Its last brace was missing at the end of the text; everything else is whole.
    unclosed: bool = False


def read_json(text: str) -> Json:
    """Return the value of a text that is strict JSON (RFC 8259) within the bounds; `Unreadable` (a ValueError) if not.

    Refused besides: NaN and numbers beyond a float's range, halves of surrogate pairs, NUL, keys that stand twice with
    different values.
    """
    fast = _read_fast(text)
    if fast is not None:
        return fast[0]
    return _whole(text, lenient=False).value


def read_mended(text: str) -> Reading:
    """Return the one value that a text holds, mended where that loses nothing; `Unreadable` if it is not all."""
    fast = _read_fast(text)
    return Reading(fast[0], 0, len(text)) if fast is not None else _whole(text, lenient=True)


def read_value(text: str, start: int, *, leaves: bool = False) -> Reading:
    """Return the value that begins at a place of a text, mended where that loses nothing; `Unreadable` if broken."""
    scanner = _Scanner(text, lenient=True, noting=leaves)
    value, end = scanner.value(start, 0, ())
    return Reading(value, start, end, tuple(sorted(scanner.mends)), tuple(scanner.leaves), scanner.unclosed)


def same(one: Json, other: Json) -> bool:
    """Say whether two values are the same JSON: 1 is 1.0, but not true."""
    match one, other:
        case bool(), _:
            return one is other
        case _, bool():
            return False
        case dict(), dict():
            return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
        case list(), list():
            return len(one) == len(other) and all(map(same, one, other))
        case _:
            return one == other


def as_json(value: object) -> Json:
    """Return what a function gave as plain JSON, as models, dates and tuples have it; ValueError: there is none."""
    try:
        return printable_json(_JSON.validate_json(to_json(value)))
    except ValueError as error:
        raise ValueError(f"expected an answer that JSON can hold, got {type(value).__name__}: {error}") from None


def printable(text: str) -> str:
    """Return a text as it can be kept anywhere: halves of surrogate pairs and NUL become U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\0", "\ufffd")


def printable_json(value: Json) -> Json:
    """Return a value with each text in it, and each name, as `printable` makes it."""
    match value:
        case str():
            return printable(value)
        case list():
            return [printable_json(part) for part in value]
        case dict():
            return {printable(name): printable_json(part) for name, part in value.items()}
        case plain:
            return plain


def _read_fast(text: str) -> tuple[Json] | None:
    """Return the value of plain JSON, which nearly all of it is; None where it has to be looked at more closely."""
    if len(text) > MAX_CHARS or _SUSPECT.search(text) or text.count("[") + text.count("{") > MAX_DEPTH:
        return None
    try:
        return (jiter.from_json(text.encode(), allow_inf_nan=False, catch_duplicate_keys=True),)
    except (ValueError, UnicodeEncodeError):
        return None


def _whole(text: str, *, lenient: bool) -> Reading:
    if len(text) > MAX_CHARS:
        raise Unreadable(f"expected at most {MAX_CHARS} characters, got {len(text)}", MAX_CHARS)
    scanner = _Scanner(text, lenient=lenient)
    start = scanner.skip(0)
    value, end = scanner.value(start, 0, ())
    if scanner.unclosed:
        raise Unreadable("an object is not closed", end)
    if scanner.skip(end) != len(text):
        raise Unreadable("expected nothing more behind the value", end)
    return Reading(value, start, end, tuple(sorted(scanner.mends)))


@dataclass(slots=True)
class _Scanner:
    """Walks over one value."""

    text: str
    lenient: bool
    noting: bool = False
    mends: set[str] = field(default_factory=set)
    leaves: list[Leaf] = field(default_factory=list)
    unclosed: bool = False

    def skip(self, at: int) -> int:
        found = _SPACE.match(self.text, at)
        return found.end() if found else at

    def value(self, at: int, depth: int, path: tuple[str, ...]) -> tuple[Json, int]:
        mark = self.text[at : at + 1]
        if depth >= MAX_DEPTH and mark in ("{", "["):
            raise Unreadable(f"nested deeper than {MAX_DEPTH} levels", at)
        match mark:
            case "{":
                return self._object(at, depth, path)
            case "[":
                return self._list(at, depth, path)
            case _ if mark in _QUOTES:
                value, end = self._string(at)
                self._note(path, at + 1, end - 1, quoted=True)
                return value, end
            case "":
                raise Unreadable("the text ends where a value was expected", at)
            case _:
                return self._scalar(at, path)

    def _object(self, at: int, depth: int, path: tuple[str, ...]) -> tuple[Json, int]:
        found: dict[str, Json] = {}
        at = self.skip(at + 1)
        while self.text[at : at + 1] != "}":
            begin = at
            key, at = self._key(at)
            at = self._expect(":", self.skip(at))
            value, end = self.value(self.skip(at), depth + 1, (*path, key))
            if key in found and not same(found[key], value):
                raise Unreadable(f"the key {key!r:.60} stands twice, with different values", begin)
            found[key] = value
            at = self.skip(end)
            if at == len(self.text) and self._may_close(found, end, depth):
                self.unclosed = True
                return found, end
            at = self._next(at, "}")
        return found, at + 1

    def _list(self, at: int, depth: int, path: tuple[str, ...]) -> tuple[Json, int]:
        found: list[Json] = []
        at = self.skip(at + 1)
        while self.text[at : at + 1] != "]":
            value, end = self.value(at, depth + 1, (*path, str(len(found))))
            found.append(value)
            at = self._next(self.skip(end), "]")
        return found, at + 1

    def _next(self, at: int, closing: str) -> int:
        """Return where the next member begins, or the closing bracket stands."""
        if self.text[at : at + 1] == closing:
            return at
        at = self.skip(self._expect(",", at, f"expected ',' or '{closing}'"))
        if self.text[at : at + 1] == closing:
            self._mend("a trailing comma", at)
        return at

    def _key(self, at: int) -> tuple[str, int]:
        if self.text[at : at + 1] in _QUOTES and at < len(self.text):
            return self._string(at)
        word = _WORD.match(self.text, at)
        if word is None:
            raise Unreadable("expected a key in quotation marks", at)
        self._mend("a key without quotation marks", at)
        return word[0], word.end()

    def _string(self, at: int) -> tuple[str, int]:
        closing = _QUOTES[self.text[at]]
        if self.text[at] != '"':
            self._mend("other quotation marks", at)
        plain, parts, start = _PLAIN[closing], [], at
        at += 1
        while True:
            found = plain.match(self.text, at)
            at = found.end() if found else at
            parts.append(found[0] if found else "")
            match self.text[at : at + 1]:
                case "":
                    raise Unreadable("a text in quotation marks is not closed", start)
                case "\\":
                    part, at = self._escape(at)
                    parts.append(part)
                case _:
                    return self._kept("".join(parts), start, at), at + 1

    def _kept(self, text: str, start: int, end: int) -> str:
        if "\0" in text:
            raise Unreadable("the character NUL cannot be kept", start)
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise Unreadable("half a surrogate pair is no character", start)
        if _CONTROL.search(self.text, start, end):
            self._mend("raw line breaks or control characters", start)
        return text

    def _escape(self, at: int) -> tuple[str, int]:
        mark = self.text[at + 1 : at + 2]
        if mark in _ESCAPES and mark:
            return _ESCAPES[mark], at + 2
        if mark == "'":
            self._mend("other quotation marks", at)
            return mark, at + 2
        first = _UNICODE.match(self.text, at)
        if first is None:
            raise Unreadable(f"there is no escape \\{mark}", at)
        code, end = int(first[1], 16), first.end()
        second = _UNICODE.match(self.text, end) if 0xD800 <= code < 0xDC00 else None
        if second is not None and 0xDC00 <= (low := int(second[1], 16)) < 0xE000:
            return chr(0x10000 + ((code - 0xD800) << 10) + low - 0xDC00), second.end()
        return chr(code), end

    def _scalar(self, at: int, path: tuple[str, ...]) -> tuple[Json, int]:
        if (word := _WORD.match(self.text, at)) is not None:
            value, end = self._literal(word[0], at), word.end()
        elif (number := _NUMBER.match(self.text, at)) is not None:
            value, end = _number(number, at), number.end()
        else:
            raise Unreadable(f"expected a value, got {self.text[at : at + 20]!r}", at)
        if end < len(self.text) and self.text[end] not in " \t\n\r,]}":
            raise Unreadable(f"expected a value, got {self.text[at : at + 20]!r}", at)
        self._note(path, at, end)
        return value, end

    def _literal(self, word: str, at: int) -> Json:
        if word in _LITERALS:
            return _LITERALS[word]
        if word not in _PYTHON:
            raise Unreadable(f"expected a value, got {word!r:.30}", at)
        self._mend("literals of Python", at)
        return _PYTHON[word]

    def _may_close(self, found: dict[str, Json], end: int, depth: int) -> bool:
        """Say whether a missing last brace is all that is missing: of one object of scalars, the last of them whole."""
        is_flat = depth == 0 and not any(isinstance(value, dict | list) for value in found.values())
        return self.lenient and is_flat and (end < len(self.text) or not self.text[end - 1].isdigit())

    def _expect(self, mark: str, at: int, why: str | None = None) -> int:
        if self.text[at : at + 1] != mark:
            got = repr(self.text[at : at + 20]) if at < len(self.text) else "the end of the text"
            raise Unreadable(f"{why or f'expected {mark!r}'}, got {got}", at)
        return at + 1

    def _mend(self, what: str, at: int) -> None:
        if not self.lenient:
            raise Unreadable(f"{what}: not JSON", at)
        self.mends.add(what)

    def _note(self, path: tuple[str, ...], start: int, end: int, *, quoted: bool = False) -> None:
        if self.noting:
            self.leaves.append(Leaf(path, start, end, quoted))


def _number(found: re.Match[str], at: int) -> Json:
    text = found[0]
    if found[1] is None and found[2] is None and text != "-0":
        if len(text) > MAX_DIGITS:
            raise Unreadable(f"a number of {len(text)} digits; at most {MAX_DIGITS} can be kept", at)
        return int(text)
    number = float(text)
    digits = text.partition("e")[0].partition("E")[0]
    if math.isinf(number) or (number == 0 and digits.strip("-0.")):
        raise Unreadable(f"the number {text:.40} is beyond what can be kept", at)
    return number
