"""Cells of tables: one value each, which no spreadsheet runs and no terminal obeys."""

import json
import re

from firstline.schemas.base import Json

_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r]")
_PLAIN_NUMBER = re.compile(r"[-+]?\d[\d.,]*(?:[eE][-+]?\d+)?%?")
_PICTURES = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n\r"} | {
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
}


def harmless(value: object) -> object:
    """Return a cell that no spreadsheet runs and no terminal obeys; numbers and plain texts are as they were.

    What begins with `=`, `+`, `-`, `@`, a tab or a carriage return, and is no number, gets an apostrophe in front
    (OWASP, "CSV Injection"); control characters become their pictures (U+2400).
    """
    if not isinstance(value, str):
        return value
    text = pictured(value)
    return f"'{text}" if _FORMULA.match(text) and not _PLAIN_NUMBER.fullmatch(text) else text


def pictured(text: str) -> str:
    """Return a text with pictures (U+2400) in place of its control characters."""
    return text.translate(_PICTURES)


def cell(value: Json) -> str | int | float | None:
    """Return a value as one cell: none, a text or a number as it is, anything else as JSON."""
    if value is None or isinstance(value, str | int | float):
        return value
    return json.dumps(value, ensure_ascii=False)
