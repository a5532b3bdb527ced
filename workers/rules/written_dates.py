"""One reader of dates as people write them, by locale where that decides."""

import re
from datetime import date
from functools import lru_cache

from babel import Locale
from babel.dates import get_month_names

_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ].*)?")
_YEAR_FIRST = re.compile(r"(\d{4})[./年](\d{1,2})[./月](\d{1,2})日?")
_NUMERIC = re.compile(r"(\d{1,2})([./-])\s?(\d{1,2})\2\s?(\d{4}|\d{2})")
_DAY_MONTH = re.compile(r"(\d{1,2})(?:st|nd|rd|th|er|º|\.)?\s+(?:de\s+|of\s+)?([^\W\d_]+)\.?,?\s+(?:de\s+)?(\d{4})")
_MONTH_DAY = re.compile(r"([^\W\d_]+)\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})")
#: A date within a text; what it says is read by `read_date`.
_ANY = re.compile(
    r"\d{4}-\d{1,2}-\d{1,2}|\d{4}[./年]\d{1,2}[./月]\d{1,2}日?|\d{1,2}[./-]\s?\d{1,2}[./-]\s?(?:\d{4}|\d{2})(?!\d)"
    r"|\d{1,2}(?:st|nd|rd|th|er|º|\.)?\s+(?:de\s+|of\s+)?[^\W\d_]+\.?,?\s+(?:de\s+)?\d{4}"
    r"|[^\W\d_]+\.?\s+\d{1,2}(?:st|nd|rd|th)?,?\s+\d{4}"
)
#: Languages whose months are known without a locale.
_LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "sv", "da", "ru")


def read_date(text: str, *, locale: str | None = None) -> date | str:
    """Return the date that a text is, or why it is none; 03/04/2026 needs a locale, 03.04.2026 does not."""
    words = " ".join(text.split())
    for pattern, order in ((_ISO, "ymd"), (_YEAR_FIRST, "ymd")):
        if match := pattern.fullmatch(words):
            return _date(words, dict(zip(order, match.groups(), strict=True)))
    if match := _NUMERIC.fullmatch(words):
        return _numeric(words, match, locale)
    if match := _DAY_MONTH.fullmatch(words):
        return _named(words, match[3], match[2], match[1], locale)
    if match := _MONTH_DAY.fullmatch(words):
        return _named(words, match[3], match[1], match[2], locale)
    return f"{words[:60]!r} is no date that can be read; such as 2026-04-03 or 3 April 2026"


def dates_in(text: str, *, locale: str | None = None) -> tuple[list[date], list[str]]:
    """Return the dates that stand in a text, and why others could not be read; without a locale both readings count."""
    found: list[date] = []
    unread: list[str] = []
    for match in _ANY.finditer(text):
        readings = [read_date(match[0], locale=locale)]
        if locale is None and isinstance(readings[0], str):
            readings += [read_date(match[0], locale=guess) for guess in ("en_US", "en_GB")]
        read = [one for one in readings if isinstance(one, date)]
        found += read
        unread += [] if read else [str(readings[0])]
    return found, unread


def _numeric(words: str, match: re.Match[str], locale: str | None) -> date | str:
    first, mark, second, year = match.groups()
    full = year if len(year) == 4 else f"20{year}" if int(year) < 70 else f"19{year}"
    day_first = {"d": first, "m": second, "y": full}
    if mark == "." or int(first) > 12:
        return _date(words, day_first)
    if int(second) > 12:
        return _date(words, {"m": first, "d": second, "y": full})
    if locale is None and first != second:
        return f"{words!r} may be day {first} of month {second} or day {second} of month {first}; name the locale"
    month_first = locale is not None and Locale.parse(locale.replace("-", "_")).territory == "US"
    return _date(words, {"m": first, "d": second, "y": full} if month_first or locale == "en" else day_first)


def _named(words: str, year: str, month: str, day: str, locale: str | None) -> date | str:
    known = _months(locale) if locale else {}
    number = known.get(month.casefold()) or _any_month(month.casefold())
    return (
        _date(words, {"y": year, "m": str(number), "d": day}) if number else f"{month!r} in {words[:60]!r} is no month"
    )


def _any_month(name: str) -> int | None:
    found = {number for language in _LANGUAGES if (number := _months(language).get(name))}
    return found.pop() if len(found) == 1 else None


@lru_cache(maxsize=32)
def _months(locale: str) -> dict[str, int]:
    parsed = Locale.parse(locale.replace("-", "_"))
    return {
        name.casefold().rstrip("."): number
        for width in ("wide", "abbreviated")
        for context in ("format", "stand-alone")
        for number, name in get_month_names(width, context, parsed).items()
    }


def _date(words: str, parts: dict[str, str]) -> date | str:
    try:
        return date(int(parts["y"]), int(parts["m"]), int(parts["d"]))
    except ValueError:
        return f"{words[:60]!r} is no date of the calendar"
