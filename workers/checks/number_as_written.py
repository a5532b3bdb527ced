"""A number, a sum of money or a date is the one that its quote has in writing."""

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from babel.numbers import get_currency_symbol

from firstline.schemas.base import Json
from firstline.schemas.check import NumberAsWritten
from firstline.workers.checks.subject import Subject
from firstline.workers.rules.json_paths import MISSING, brief, dig
from firstline.workers.rules.written_dates import dates_in
from firstline.workers.rules.written_numbers import exact, mentions, read_number

_CODE = re.compile(r"[A-Z]{3}")


def reason(spec: NumberAsWritten, where: str, value: Json, subject: Subject) -> str | None:
    """Say why the value at a place is not what its quote says; without a quote there is nothing to tie it to."""
    quote = _beside(spec.quote, spec.field, where, subject.value)
    if not isinstance(quote, str) or not quote.strip():
        return f"has no quote in `{spec.quote}` to be read from"
    if spec.written == "date":
        return _date_reason(spec, value, quote)
    said = _number_reason(spec, value, quote)
    return said or (_currency_reason(spec, where, quote, subject) if spec.written == "money" else None)


def _number_reason(spec: NumberAsWritten, value: Json, quote: str) -> str | None:
    wanted = exact(value) if isinstance(value, int | float) else read_number(str(value), locale=spec.locale)
    if isinstance(wanted, str):
        return wanted
    found = [reading for mention in mentions(quote, locale=spec.locale) for reading in mention.values]
    if any(wanted == reading for reading in found):
        return None
    shown = ", ".join(dict.fromkeys(map(_shown, found))) or "no number"
    return f"{_shown(wanted)} is not what the quote {brief(quote, 80)!r} says: {shown}"


def _date_reason(spec: NumberAsWritten, value: Json, quote: str) -> str | None:
    wanted = _date(value)
    if wanted is None:
        return f"expected a date such as 2026-04-03, got {brief(value, 40)}"
    found, unread = dates_in(quote, locale=spec.locale)
    if wanted in found:
        return None
    shown = ", ".join(map(str, found)) or "; ".join(unread) or "no date"
    return f"{wanted} is not what the quote {brief(quote, 80)!r} says: {shown}"


def _date(value: Json) -> date | None:
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        return None


def _currency_reason(spec: NumberAsWritten, where: str, quote: str, subject: Subject) -> str | None:
    code = _beside(spec.currency, spec.field, where, subject.value) if spec.currency else None
    if not isinstance(code, str) or any(sign in quote for sign in _signs(code)):
        return None
    return f"the quote {brief(quote, 80)!r} does not say {code}"


def _signs(code: str) -> Iterator[str]:
    yield code
    if _CODE.fullmatch(code):
        yield get_currency_symbol(code, locale="en")
        yield get_currency_symbol(code, locale="de")


def _beside(path: str, field: str, where: str, value: Json) -> Json:
    """Return what stands at a path whose beginning is that of `field`, in the same elements of lists as `where`."""
    parts, own, place = path.split("."), field.split("."), where.split(".")
    shared = 0
    while shared < min(len(parts), len(own)) - 1 and parts[shared] == own[shared]:
        shared += 1
    taken = _taken(own[:shared], place)
    found = dig(value, ".".join([*taken, *parts[shared:]]))
    return None if found is MISSING else found


def _taken(names: list[str], place: list[str]) -> list[str]:
    """Return the beginning of a place that goes through these names, its numbers of elements included."""
    taken: list[str] = []
    rest = list(place)
    for name in names:
        while rest and rest[0] != name:
            taken.append(rest.pop(0))
        taken += rest[:1]
        rest = rest[1:]
    while len(rest) > 1 and rest[0].isdecimal():
        taken.append(rest.pop(0))
    return taken


def _shown(value: Decimal) -> str:
    return f"{value.normalize():f}"
