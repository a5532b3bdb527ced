"""Text functions: extraction by regular expression, dates, units, and removal of duplicates."""

import re
from collections.abc import Hashable
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from firstline.schemas.base import Frozen, Json
from firstline.schemas.tool import ToolResult
from firstline.workers.tools.base import Kind, Place, failed

_Text = Annotated[str, Field(max_length=1_000_000)]
_MATCHES = 1000
_NEAR_CHARS = 10_000


class RegexOptions(Frozen):
    """How long one extraction may search."""

    timeout_s: float = Field(default=1.0, gt=0, le=30)


class RegexArguments(Frozen):
    """Where to look and for what."""

    text: _Text
    pattern: str = Field(max_length=500, description="Python regular expression; named groups are returned by name")
    ignore_case: bool = False


def regex_extract(arguments: RegexArguments, options: RegexOptions, _: Place) -> ToolResult:
    """Return every match with its offsets and groups, at most 1000; a pattern that backtracks for ever is stopped."""
    import regex

    try:
        compiled = regex.compile(arguments.pattern, regex.IGNORECASE if arguments.ignore_case else 0)
    except (regex.error, OverflowError, RecursionError) as error:
        return failed(f"not a regular expression: {error}")
    found: list[Json] = []
    try:
        for match in compiled.finditer(arguments.text, timeout=options.timeout_s):
            if len(found) == _MATCHES:
                return ToolResult(value=found, truncated=True)
            named: dict[str, Json] = dict(match.groupdict())
            found.append(
                {
                    "text": match.group(),
                    "start": match.start(),
                    "end": match.end(),
                    "groups": named or list(match.groups()),
                }
            )
    except TimeoutError:
        return failed(f"the pattern took longer than {options.timeout_s:g} s on this text; simplify it", value=found)
    return ToolResult(value=found)


_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)"
)
_DATE = re.compile(
    r"\b(?:"
    r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:?\d{2})?)?"
    r"|\d{1,2}(?:st|nd|rd|th)?[ -](?:of )?" + _MONTH + r"\.?,?[ -]\d{4}"
    r"|" + _MONTH + r"\.? \d{1,2}(?:st|nd|rd|th)?,? \d{4}"
    r"|" + _MONTH + r"\.? \d{4}"
    r"|\d{1,2}[/.]\d{1,2}[/.]\d{4}"
    r")\b",
    re.IGNORECASE,
)
_NUMERIC = re.compile(r"(\d{1,2})[/.](\d{1,2})[/.]\d{4}")


class DatesOptions(Frozen):
    """How `03/04/2025` is read."""

    #: Unknown by default: a date that could be read both ways is then reported without a value.
    day_first: bool | None = None


class DatesArguments(Frozen):
    """The text to look through."""

    text: _Text


def dates(arguments: DatesArguments, options: DatesOptions, _: Place) -> ToolResult:
    """Return the dates in a text in ISO 8601 (`2025-03` without a day); None where day and month could be swapped."""
    found: list[Json] = []
    for match in _DATE.finditer(arguments.text):
        if len(found) == _MATCHES:
            return ToolResult(value=found, truncated=True)
        date = _iso(match.group(), options.day_first)
        found.append({"text": match.group(), "start": match.start(), "end": match.end(), "date": date})
    return ToolResult(value=found)


def _iso(text: str, day_first: bool | None) -> str | None:
    from dateutil import parser

    if day_first is None and (numbers := _NUMERIC.fullmatch(text)):
        first, second = int(numbers[1]), int(numbers[2])
        if first <= 12 and second <= 12 and first != second:
            return None
        day_first = first > 12
    info = parser.parserinfo(dayfirst=bool(day_first))
    try:
        # dateutil fills what is missing from the default: two defaults that differ show whether the day was there.
        one, other = (parser.parse(text, info, default=datetime(2000, 1, day)) for day in (1, 2))
    except (ValueError, OverflowError):
        return None
    if one.day != other.day:
        return f"{one:%Y-%m}"
    return one.isoformat() if one.time() != datetime.min.time() or one.tzinfo else one.date().isoformat()


# Names joined by `*` or `/`, small powers only: pint would evaluate `9**9**9` for as long as it takes.
_UNIT = re.compile(
    r"\s*(?:1\s*/\s*)?[^\W\d]\w*(?:\s*(?:\^|\*\*)\s*-?\d)?(?:\s*[*/·\s]\s*[^\W\d]\w*(?:\s*(?:\^|\*\*)\s*-?\d)?)*\s*"
)


class NoOptions(Frozen):
    """Nothing to choose."""


class UnitsArguments(Frozen):
    """A value, its unit and the unit wanted."""

    value: float = Field(allow_inf_nan=False)
    unit: str = Field(max_length=100, description="such as km/h, degC, lb")
    to: str = Field(max_length=100)


def units(arguments: UnitsArguments, _: NoOptions, __: Place) -> ToolResult:
    """Convert a value between units (pint's names, so `degC`, `mile`, `kg*m^2`)."""
    for unit in (arguments.unit, arguments.to):
        if not _UNIT.fullmatch(unit):
            return failed(f"not a unit: {unit!r}; expected names joined by * or /, such as km/h or m^2")
    import pint

    registry: pint.UnitRegistry[float] = pint.UnitRegistry()
    try:
        converted = registry.Quantity(arguments.value, arguments.unit).to(arguments.to)
    except (pint.PintError, ValueError, AttributeError, OverflowError) as error:
        return failed(f"cannot convert {arguments.unit} to {arguments.to}: {error}")
    return ToolResult(value={"value": float(converted.magnitude), "unit": arguments.to})


class DedupeOptions(Frozen):
    """What counts as the same."""

    #: exact: the same text; normalised: but for case, spaces and punctuation; near: rapidfuzz ratio >= threshold.
    mode: Literal["exact", "normalised", "near"] = "normalised"
    threshold: float = Field(default=90.0, ge=0, le=100)


class DedupeArguments(Frozen):
    """The texts, in order: the first of equals is kept."""

    texts: list[_Text] = Field(max_length=100_000)


def dedupe(arguments: DedupeArguments, options: DedupeOptions, _: Place) -> ToolResult:
    """Return the texts kept, and groups of positions (from 0) of texts that are the same, the kept one first."""
    texts = arguments.texts
    match options.mode:
        case "exact":
            groups = _grouped(texts)
        case "normalised":
            groups = _grouped([_normal(text) for text in texts])
        case "near":
            if len(texts) > 2000:
                return failed(f"near duplicates among at most 2000 texts, got {len(texts)}: use the mode normalised")
            groups = _near([_normal(text) for text in texts], options.threshold)
    return ToolResult(
        value={"texts": [texts[group[0]] for group in groups], "groups": [list(group) for group in groups]}
    )


def _grouped(keys: list[Hashable] | list[str]) -> list[list[int]]:
    groups: dict[Hashable, list[int]] = {}
    for position, key in enumerate(keys):
        groups.setdefault(key, []).append(position)
    return list(groups.values())


def _near(texts: list[str], threshold: float) -> list[list[int]]:
    from rapidfuzz import fuzz, process

    groups: dict[int, list[int]] = {}
    kept: dict[int, str] = {}
    for position, text in enumerate(texts):
        short = text[:_NEAR_CHARS]
        best = process.extractOne(short, kept, scorer=fuzz.ratio, score_cutoff=threshold)
        if best is None:
            kept[position] = short
            groups[position] = [position]
        else:
            groups[best[2]].append(position)
    return list(groups.values())


def _normal(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


REGEX = Kind(
    name="regex_extract",
    description="Extract all matches of a regular expression from a text.",
    arguments=RegexArguments,
    options=RegexOptions,
    call=regex_extract,
    bounds_itself=True,
)
DATES = Kind(
    name="dates",
    description="Find the dates in a text and write them in ISO 8601.",
    arguments=DatesArguments,
    options=DatesOptions,
    call=dates,
    bounds_itself=True,
)
UNITS = Kind(
    name="units",
    description="Convert a value from one unit to another.",
    arguments=UnitsArguments,
    options=NoOptions,
    call=units,
    bounds_itself=True,
)
DEDUPE = Kind(
    name="dedupe",
    description="Remove duplicate texts from a list.",
    arguments=DedupeArguments,
    options=DedupeOptions,
    call=dedupe,
)
