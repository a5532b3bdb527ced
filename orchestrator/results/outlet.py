"""Where results go, and in which form: lines on standard output, a file by its ending, a table of a database."""

import csv
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from firstline.orchestrator.results.flat import ResultRow, Table, flat
from firstline.orchestrator.results.results_file import CsvStyle, ResultFormat, lines
from firstline.orchestrator.results.sql_table import check_table, names_table, write_table
from firstline.orchestrator.results.table_files import LIBRARIES, WRITERS, csv_rows, json_lines, needed
from firstline.orchestrator.store.own_database import shown
from firstline.schemas.errors import UserError
from firstline.schemas.job import ItemResult

STDOUT = "-"


class Shape(StrEnum):
    """What a row of the results is."""

    #: The input's columns, a column for each field of the output, then status, tier, confidence, cost and reason.
    FLAT = "flat"
    #: The result alone, its output as one value.
    NESTED = "nested"


@dataclass(frozen=True, slots=True)
class Form:
    """In which form results are wanted."""

    #: None: flat for tables, nested for JSON lines.
    shape: Shape | None = None
    #: Of standard output; a file's ending says it of a file.
    kind: ResultFormat | None = None
    style: CsvStyle = field(default_factory=CsvStyle)
    #: Only these fields of the results, nested.
    fields: tuple[str, ...] = ()

    def is_flat(self, ending: str) -> bool:
        """Return whether a file of this ending gets flat rows; UserError where it could have no others."""
        shape = Shape.NESTED if self.fields else self.shape
        shape = shape or (Shape.NESTED if ending == _JSONL else Shape.FLAT)
        if shape is Shape.NESTED and ending not in _NESTED:
            asked = "--fields" if self.fields else "--format nested"
            raise UserError(f"{asked} is for JSON lines and CSV; name a file that ends with .jsonl or .csv")
        return shape is Shape.FLAT


_JSONL = ".jsonl"
_NESTED = {_JSONL: ResultFormat.JSONL, ".csv": ResultFormat.CSV}
#: Endings of tables that are not written.
_OTHER_TABLES = (".xls", ".ods", ".tsv", ".arrow", ".feather", ".gz", ".bz2", ".xz", ".zip")


def write_results(results: Iterable[ResultRow], out: str | None, form: Form = Form()) -> int:
    """Write results to a file, a database's table or (None, `-`) standard output; return how many there were.

    A file or a table gets all of them or none.
    """
    if out is not None and names_table(out):
        with flat(results) as table:
            write_table(table, out)
            return table.length
    ending = _ending(out, form.kind)
    if form.is_flat(ending):
        with flat(results) as table, _target(out) as path:
            if path is None:
                _print(table, ending, form.style)
            else:
                WRITERS[ending](table, path, form.style)
            return table.length
    return _write_nested((result for _, result in results), out, _NESTED[ending], form)


def shown_out(out: str) -> str:
    """Return where results went, as it is told to people: a database's URL without its password."""
    return shown(out) if names_table(out) else out


def check_writable(out: str | None, form: Form = Form()) -> None:
    """Raise a UserError when results could not be written later; writes nothing."""
    if out is None or out == STDOUT:
        return
    if names_table(out):
        check_table(out)
        return
    ending = _ending(out, form.kind)
    form.is_flat(ending)
    if library := LIBRARIES.get(ending):
        needed(library)
    with _target(out, keep=False) as path:
        if path is not None:
            path.touch()


def _ending(out: str | None, kind: ResultFormat | None) -> str:
    """Return the ending that says how a file is written; JSON lines where it says nothing."""
    if kind is not None or out is None or out == STDOUT:
        return f".{(kind or ResultFormat.JSONL).value}"
    ending = Path(out).suffix.lower()
    if ending in _OTHER_TABLES:
        raise UserError(f"results cannot be written as {ending}; name a file that ends with {', '.join(WRITERS)}")
    return ending if ending in WRITERS else _JSONL


def _print(table: Table, ending: str, style: CsvStyle) -> None:
    if ending == _JSONL:
        sys.stdout.writelines(f"{line}\n" for line in json_lines(table))
        return
    sys.stdout.write("\ufeff" * style.bom)
    csv.writer(sys.stdout).writerows(csv_rows(table, style))


def _write_nested(results: Iterable[ItemResult], out: str | None, kind: ResultFormat, form: Form) -> int:
    with (
        _target(out) as path,
        path.open("w", encoding="utf-8", newline="") if path else nullcontext(sys.stdout) as file,
    ):
        written = sum(1 for text in lines(results, kind, form.style, form.fields) if file.write(text))
    return written - (kind is ResultFormat.CSV)


@contextmanager
def _target(out: str | None, *, keep: bool = True) -> Iterator[Path | None]:
    """Yield the file that is to become `out` when it is whole; None: standard output."""
    if out is None or out == STDOUT:
        yield None
        return
    target = Path(out)
    if target.is_dir():
        raise UserError(f"results cannot be written to {out}, which is a folder; name a file")
    part = target.with_name(f".{target.name}.part")
    try:
        yield part
        if keep:
            part.replace(target)
    except OSError as error:
        raise UserError(
            f"results cannot be written to {out} ({error.strerror}); name a file in a folder you may write to"
        ) from None
    finally:
        part.unlink(missing_ok=True)
