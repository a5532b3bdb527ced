"""A job's results as a file: a JSON line or a CSV row per item, whole or not at all."""

import csv
import io
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TextIO

from firstline.config.catalogue.collection import unknown
from firstline.schemas.base import Json
from firstline.schemas.errors import UserError
from firstline.schemas.job import ItemResult
from firstline.workers.rules.json_paths import MISSING, dig

STDOUT = "-"


class ResultFormat(StrEnum):
    """How results are written."""

    JSONL = "jsonl"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class CsvStyle:
    """How a CSV is written."""

    #: Cells as they are, although a spreadsheet may take them for formulas.
    raw: bool = False
    #: With the mark by which Excel knows UTF-8.
    bom: bool = False


def format_of(path: str | None) -> ResultFormat:
    """Return the format that a file's name asks for; JSON lines unless it ends with .csv."""
    return ResultFormat.CSV if path and path.lower().endswith(".csv") else ResultFormat.JSONL


def parse_fields(text: str | None) -> tuple[str, ...]:
    """Return the fields that `item_id,output.label` names; UserError for one that no result has."""
    named = tuple(part.strip() for part in (text or "").split(",") if part.strip())
    for name in named:
        if name.partition(".")[0] not in ItemResult.model_fields:
            raise UserError(unknown("field of a result", name, list(ItemResult.model_fields)))
    return named


def write_results(
    results: Iterable[ItemResult],
    path: str | None,
    kind: ResultFormat | None = None,
    style: CsvStyle | None = None,
    *,
    fields: Sequence[str] = (),
) -> int:
    """Write results to a file (None or `-`: standard output) and return how many there were.

    `fields`: only these, of which `output.a.b` leads into the output; none: all.
    """
    kind = kind or format_of(path)
    with _target(path) as file:
        written = sum(1 for text in lines(results, kind, style or CsvStyle(), fields) if file.write(text))
    return written - (kind is ResultFormat.CSV)


def check_writable(path: str | None) -> None:
    """Raise a UserError when the file could not be written later; writes nothing."""
    if path is None or path == STDOUT:
        return
    with _target(path, keep=False):
        pass


@contextmanager
def _target(path: str | None, *, keep: bool = True) -> Iterator[TextIO]:
    if path is None or path == STDOUT:
        yield sys.stdout
        return
    target = Path(path)
    if target.is_dir():
        raise UserError(f"results cannot be written to {path}, which is a folder; name a file")
    part = target.with_name(f".{target.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            yield file
        if keep:
            part.replace(target)
    except OSError as error:
        raise UserError(
            f"results cannot be written to {path} ({error.strerror}); name a file in a folder you may write to"
        ) from None
    finally:
        part.unlink(missing_ok=True)


def lines(
    results: Iterable[ItemResult], kind: ResultFormat, style: CsvStyle = CsvStyle(), fields: Sequence[str] = ()
) -> Iterator[str]:
    """Yield results as the lines of a file, a CSV's header first."""
    if kind is ResultFormat.JSONL:
        yield from (f"{_json(result, fields)}\n" for result in results)
        return
    line = io.StringIO()
    writer = csv.DictWriter(line, fieldnames=fields or list(ItemResult.model_fields))
    writer.writeheader()
    yield "\ufeff" * style.bom + _taken(line)
    for result in results:
        cells = {name: cell(value) for name, value in picked(result, fields).items()}
        writer.writerow(cells if style.raw else {name: harmless(value) for name, value in cells.items()})
        yield _taken(line)


def harmless(value: object) -> object:
    """Return a cell that no spreadsheet runs and no terminal obeys; numbers and plain texts are as they were.

    What begins with `=`, `+`, `-`, `@`, a tab or a carriage return, and is no number, gets an apostrophe in front
    (OWASP, "CSV Injection"); control characters become their pictures (U+2400).
    """
    if not isinstance(value, str):
        return value
    text = value.translate(_PICTURES)
    return f"'{text}" if _FORMULA.match(text) and not _PLAIN_NUMBER.fullmatch(text) else text


_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r]")
_PLAIN_NUMBER = re.compile(r"[-+]?\d[\d.,]*(?:[eE][-+]?\d+)?%?")
_PICTURES = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n\r"} | {
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
}


def picked(result: ItemResult, fields: Sequence[str]) -> dict[str, Json]:
    """Return these fields of a result (none: all); what a path does not lead to is null."""
    whole = result.model_dump(mode="json")
    found = {name: dig(whole, name) for name in fields or ItemResult.model_fields}
    return {name: None if value is MISSING else value for name, value in found.items()}


def _json(result: ItemResult, fields: Sequence[str]) -> str:
    return json.dumps(picked(result, fields), ensure_ascii=False) if fields else result.model_dump_json()


def _taken(line: io.StringIO) -> str:
    text = line.getvalue()
    line.seek(0)
    line.truncate()
    return text


def cell(value: Json) -> object:
    """Return a value as one cell: none, a text or a number as it is, anything else as JSON."""
    plain = value is None or isinstance(value, str | int | float)
    return value if plain else json.dumps(value, ensure_ascii=False)
