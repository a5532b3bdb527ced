"""Cells of tables: one value each, which no spreadsheet runs and no terminal obeys."""

import json
import re

from firstline.config.telemetry.terminal import pictured
from firstline.schemas.base import Json

_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r]")
_PLAIN_NUMBER = re.compile(r"[-+]?\d[\d.,]*(?:[eE][-+]?\d+)?%?")


def harmless(value: object) -> object:
    """Return a cell that no spreadsheet runs and no terminal obeys; numbers and plain texts are as they were.

    What begins with `=`, `+`, `-`, `@`, a tab or a carriage return, and is no number, gets an apostrophe in front
    (OWASP, "CSV Injection"); control characters become their pictures (U+2400).
    """
    if not isinstance(value, str):
        return value
    text = pictured(value)
    return f"'{text}" if _FORMULA.match(text) and not _PLAIN_NUMBER.fullmatch(text) else text


def cell(value: Json) -> str | int | float | None:
    """Return a value as one cell: none, a text or a number as it is, anything else as JSON."""
    if value is None or isinstance(value, str | int | float):
        return value
    return json.dumps(value, ensure_ascii=False)
