"""One reader of numbers as people write them: signs, groups, decimal marks by locale, words for millions."""

import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import NamedTuple

from babel import Locale, UnknownLocaleError
from babel.numbers import get_decimal_symbol

_SPACES = "\u0020\u00a0\u2007\u2009\u202f"
_GROUP_MARKS = "'\u2019" + _SPACES
_MINUS = "-\u2212\u2010\u2011\u2012\u2013\ufe63\uff0d"
_BODY = re.compile(rf"\d{{1,3}}(?:[{_GROUP_MARKS}]\d{{3}})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,]\d+)*|(?<![\d.,])[.,]\d+")
_EXPONENT = re.compile(r"[eE][+-]?\d{1,3}(?!\w)")
#: What may stand in front of a number: a bracket, a sign, a currency, a sign.
_FRONT = re.compile(
    rf"(?P<open>\()?(?P<sign>[+{re.escape(_MINUS)}])?[{_SPACES}]?(?P<unit>(?<![^\W\d_])(?:[A-Z]{{2,3}}|[A-Z]{{0,3}}[$€£¥₹]))?"
    rf"[{_SPACES}]?(?P<sign2>[{re.escape(_MINUS)}])?$"
)
_SCALES = {
    **dict.fromkeys(("thousand", "k", "tsd", "tausend", "mille", "mil"), 3),
    **dict.fromkeys(("million", "millions", "mio", "millionen", "mn", "millones", "milioni"), 6),
    **dict.fromkeys(("billion", "billions", "bn", "mrd", "milliarde", "milliarden", "milliard", "milliards"), 9),
    **dict.fromkeys(("lakh", "lakhs"), 5),
    **dict.fromkeys(("crore", "crores"), 7),
}
#: A scale's word stands by itself: the M of `762 M&Ms` is none.
_SCALE = re.compile(rf"[{_SPACES}]?([^\W\d_]+)(?![&@'\u2019]\w)\.?")


#: Decimal and group marks of other widths and scripts.
_MARKS = {"\uff0e": ".", "\uff0c": ",", "\u066b": ".", "\u066c": ","}


class Mention(NamedTuple):
    """A number where it stands in a text."""

    start: int
    end: int
    #: Its readings, the likeliest first: two where nothing says whether `1,234` has decimals.
    values: tuple[Decimal, ...]

    @property
    def value(self) -> Decimal:
        """The likeliest reading."""
        return self.values[0]


def mentions(text: str, *, locale: str | None = None) -> Iterator[Mention]:
    """Yield the numbers of a text in order; with a locale (`de`, `en_US`) each has one reading.

    Without one, the mark that comes last is the decimal one where both stand; one that stands several times sets groups
    apart; a lone one before three digits may be either: a comma then rather sets groups apart, a point decimals.
    """
    mark = decimal_mark(locale) if locale else None
    plain = _ascii_digits(text)
    for match in _BODY.finditer(plain):
        before = plain[max(0, match.start() - 8) : match.start()]
        front = _FRONT.search(before)
        if front is None or _is_within_word(before, front):
            continue
        end, power = _behind(plain, match.end())
        sign = -1 if _is_negative(before, front, _is_in_brackets(plain, match, front, end)) else 1
        values = tuple(dict.fromkeys(sign * value.scaleb(power) for value in _readings(match[0], mark)))
        if values:
            yield Mention(match.start(), end, values)


def read_number(text: str, *, locale: str | None = None) -> Decimal | str:
    """Return the number that a whole text is, or why it is none: `1.234,56`, `(1,234)`, `5 million`, `€ 3`."""
    found = list(mentions(text, locale=locale))
    if not found:
        return f"{text[:60]!r} holds no number"
    if len(found) > 1:
        return f"{text[:60]!r} holds {len(found)} numbers"
    if len(found[0].values) > 1:
        return f"{text[:60]!r} may be {' or '.join(map(_shown, found[0].values))}; name the locale"
    return found[0].value


@lru_cache(maxsize=64)
def decimal_mark(locale: str) -> str:
    """Return a locale's decimal mark; ValueError when there is no such locale."""
    try:
        return get_decimal_symbol(Locale.parse(locale.replace("-", "_")))
    except (UnknownLocaleError, ValueError):
        raise ValueError(f"there is no locale {locale!r}; such as en, de or pt_BR") from None


def exact(value: int | float) -> Decimal:
    """Return a number as its shortest literal says it: 0.1 is a tenth."""
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def _ascii_digits(text: str) -> str:
    """Return the text with digits of all scripts as ASCII's, character by character."""
    if text.isascii():
        return text
    return "".join(_plain(letter) for letter in text)


def _plain(letter: str) -> str:
    digit = unicodedata.decimal(letter, None)
    return str(digit) if digit is not None else _MARKS.get(letter, letter)


def _is_within_word(before: str, front: re.Match[str]) -> bool:
    """Say whether the digits are part of a name (`A4`, `v2`); a currency in front (`EUR5`) is none."""
    return before[-1:] == "_" or (before[-1:].isalpha() and not front["unit"])


def _readings(body: str, mark: str | None) -> Iterator[Decimal]:
    bare = re.sub(f"[{_GROUP_MARKS}]", "", body)
    marks = [letter for letter in bare if letter in ".,"]
    if not marks:
        yield from _decimal(bare)
    elif mark is not None:
        yield from _by_mark(bare, mark)
    elif len(set(marks)) == 2:
        yield from _by_mark(bare, marks[-1])
    elif len(marks) > 1:
        yield from _by_mark(bare, "." if marks[0] == "," else ",")
    else:
        yield from _lone(bare, marks[0])


def _lone(body: str, mark: str) -> Iterator[Decimal]:
    whole, _, rest = body.partition(mark)
    as_decimals, as_group = f"{whole or 0}.{rest}", whole + rest
    if len(rest) == 3 and 1 <= len(whole) <= 3 and not whole.startswith("0"):
        yield from _decimal(as_group if mark == "," else as_decimals)
        yield from _decimal(as_decimals if mark == "," else as_group)
    else:
        yield from _decimal(as_decimals)


def _by_mark(body: str, mark: str) -> Iterator[Decimal]:
    group = "," if mark == "." else "."
    whole, _, rest = body.partition(mark)
    if mark in rest or group in rest or (group in whole and not _is_grouped(whole, group)):
        return
    yield from _decimal(f"{whole.replace(group, '') or 0}.{rest or 0}")


def _is_grouped(whole: str, group: str) -> bool:
    first, *rest = whole.split(group)
    return 1 <= len(first) <= 3 and len(rest[-1]) == 3 and all(len(part) in (2, 3) for part in rest)


def _decimal(text: str) -> Iterator[Decimal]:
    try:
        yield Decimal(text)
    except InvalidOperation:
        return


def _is_negative(before: str, front: re.Match[str], in_brackets: bool) -> bool:
    """Say whether a number has a minus sign (no dash of a range or a name), or stands in an account's brackets."""
    further = before[front.start() - 1] if front.start() else " "
    minus = (front["sign"] or " ") in _MINUS and not (further.isalnum() or further in ".,)")
    return bool(front["sign2"]) or minus or in_brackets


def _is_in_brackets(text: str, match: re.Match[str], front: re.Match[str], end: int) -> bool:
    is_sum = "." in match[0] or "," in match[0]
    return bool(front["open"]) and text[end : end + 1] == ")" and is_sum


def _behind(text: str, end: int) -> tuple[int, int]:
    """Return where a number with its exponent or its word (`million`) ends, and the power of ten that it stands for."""
    if exponent := _EXPONENT.match(text, end):
        return exponent.end(), int(exponent[0][1:])
    match = _SCALE.match(text, end)
    power = match and (6 if match[1] == "M" else _SCALES.get(match[1].casefold()))
    return (match.end(1), power) if match and power else (end, 0)


def _shown(value: Decimal) -> str:
    return f"{value.normalize():f}"
