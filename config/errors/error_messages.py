"""Pydantic's validation errors in our words: what was expected, what came, how to mend it."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic_core import ErrorDetails

from firstline.schemas.errors import UserError

_NAME = r"^[a-z]["
_SHOWN = 60


def wanted(error: ErrorDetails) -> str:
    """Return what an error's place should hold, such as `a whole number` or `'a', 'b' or 'c'`."""
    kind, ctx = error["type"], error.get("ctx", {})
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind in _FROM_CONTEXT:
        return _FROM_CONTEXT[kind](ctx)
    return error["msg"].removeprefix("Input should be ")


def sentence(error: ErrorDetails, *, show: bool = True) -> str:
    """Return the error in one sentence; `show=False` leaves the value out (it may be a secret)."""
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    if error["type"] == "json_invalid":
        return f"expected JSON, got what is none: {error['ctx']['error']}"
    if error["type"] == "missing":
        return "expected a value, got nothing"
    hint = _hint(error)
    got = f", got {shown(error['input'])}" if show else ""
    return f"expected {wanted(error)}{got}{f'; {hint}' if hint else ''}"


def shown(value: object) -> str:
    """Return a value as it stands in YAML, cut to one short line."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case str():
            return f"'{_cut(value)}'"
        case Mapping():
            return "a mapping" if value else "an empty mapping"
        case list() | tuple():
            return "a list" if value else "an empty list"
    return _cut(str(value))


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3]}..."


def _hint(error: ErrorDetails) -> str:
    value = error["input"]
    match error["type"]:
        case "string_type" if isinstance(value, int | float):
            return "put it in quotes"
        case "tuple_type" | "list_type" if not isinstance(value, Mapping):
            return "write `- ` before each element, or [a, b]"
        case "tuple_type" | "list_type":
            return "write `- ` before each element"
    return ""


def _pattern(ctx: Mapping[str, Any]) -> str:
    pattern = str(ctx["pattern"])
    if not pattern.startswith(_NAME):
        return f"text that matches {pattern}"
    dashes = ", _ and -" if "-]" in pattern else " and _"
    return f"a name of small letters, digits{dashes} that begins with a letter"


def _count(noun: str, *, bound: str, key: str) -> Callable[[Mapping[str, Any]], str]:
    def words(ctx: Mapping[str, Any]) -> str:
        number = ctx[key]
        return f"at {bound} {number} {noun}{'' if number == 1 else 's'}"

    return words


_PLAIN = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "date_type": "a date such as 2026-01-31",
    "date_parsing": "a date such as 2026-01-31",
    "date_from_datetime_parsing": "a date such as 2026-01-31",
    "datetime_type": "a time such as 2026-01-31T18:00:00Z",
    "datetime_parsing": "a time such as 2026-01-31T18:00:00Z",
    "datetime_from_date_parsing": "a time such as 2026-01-31T18:00:00Z",
    "timezone_aware": "a time with its zone, such as 2026-01-31T18:00:00Z",
    "none_required": "nothing",
}

_FROM_CONTEXT: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "literal_error": lambda ctx: str(ctx["expected"]),
    "enum": lambda ctx: str(ctx["expected"]),
    "greater_than": lambda ctx: f"more than {ctx['gt']:g}",
    "greater_than_equal": lambda ctx: f"at least {ctx['ge']:g}",
    "less_than": lambda ctx: f"less than {ctx['lt']:g}",
    "less_than_equal": lambda ctx: f"at most {ctx['le']:g}",
    "string_pattern_mismatch": _pattern,
    "string_too_short": _count("character", bound="least", key="min_length"),
    "string_too_long": _count("character", bound="most", key="max_length"),
    "too_short": _count("element", bound="least", key="min_length"),
    "too_long": _count("element", bound="most", key="max_length"),
}


#: A path into a document: keys and list positions.
Location = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something wrong at a place within a document."""

    at: Location
    text: str
    #: The last part of `at` is named in the text already: a field that is missing or unknown.
    named: bool = False

    @property
    def where(self) -> str:
        """The place as people read it."""
        return dotted(self.at[:-1] if self.named else self.at)


@dataclass(frozen=True, slots=True)
class Problem:
    """A flaw of a file, with its line (None: the file as a whole)."""

    file: Path
    line: int | None
    text: str

    def __str__(self) -> str:
        """Return the line that people and editors read."""
        text = " ".join(self.text.splitlines())
        return f"{self.file}:{self.line}: {text}" if self.line else f"{self.file}: {text}"


class ConfigError(UserError):
    """Configuration that a person can mend; one line per problem."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def dotted(at: Location) -> str:
    """Return a location as people write it: `checks[0].pattern`."""
    text = ""
    for part in at:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def close(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that `word` was probably meant to be, or None."""
    by_folded = {name.casefold(): name for name in known}
    matches = get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[matches[0]] if matches else None


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?`, or nothing when no known word is close."""
    match = close(word, known)
    return f"; did you mean '{match}'?" if match else ""


def listed(names: Iterable[str], *, most: int = 12) -> str:
    """Return names as `a, b and c`; the tail of a long list is only counted."""
    parts = list(names)
    if len(parts) > most:
        parts = [*parts[: most - 1], f"{len(parts) - most + 1} more"]
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:]))) if parts else "none"


def unknown(noun: str, name: str, known: Collection[str]) -> str:
    """Return the sentence for a name that nothing has: what was probably meant, and what there is."""
    there = f"there are: {listed(sorted(known))}" if known else "there is none"
    meant = suggestion(name, known)
    return f"no {noun} is called '{name}'{f'{meant} {there.capitalize()}' if meant else f'; {there}'}"
