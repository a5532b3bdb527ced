"""Flat tables as files: CSV, JSON lines, Parquet, Excel workbooks; written row by row."""

import csv
import importlib
import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from firstline.config.telemetry.terminal import pictured
from firstline.orchestrator.results.cells import cell, harmless
from firstline.orchestrator.results.flat import Column, Kind, Table
from firstline.orchestrator.results.results_file import CsvStyle
from firstline.schemas.base import Json
from firstline.schemas.errors import UserError

_ROWS_AT_ONCE = 1000
#: What a worksheet holds.
_SHEET_ROWS = 1_048_576
_CELL_CHARS = 32_767

Writer = Callable[[Table, Path, CsvStyle], None]


def write_csv(table: Table, path: Path, style: CsvStyle) -> None:
    """Write a table as CSV."""
    with path.open("w", encoding="utf-8-sig" if style.bom else "utf-8", newline="") as file:
        for row in csv_rows(table, style):
            csv.writer(file).writerow(row)


def csv_rows(table: Table, style: CsvStyle) -> Iterator[list[object]]:
    """Yield the header and the rows as a CSV has them."""
    defused: Callable[[object], object] = (lambda value: value) if style.raw else harmless
    yield [defused(column.name) for column in table.columns]
    yield from ([defused(cell(value)) for value in row] for row in table.rows())


def write_jsonl(table: Table, path: Path, style: CsvStyle) -> None:
    """Write a table as JSON lines; lists and objects stay what they are."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in json_lines(table))


def json_lines(table: Table) -> Iterator[str]:
    """Yield each row as a JSON object."""
    names = [column.name for column in table.columns]
    yield from (json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) for row in table.rows())


def write_parquet(table: Table, path: Path, style: CsvStyle) -> None:
    """Write a table as Parquet; lists and objects as texts of JSON."""
    arrow, parquet = needed("pyarrow"), needed("pyarrow.parquet")
    types: dict[Kind | None, Any] = {Kind.BOOL: arrow.bool_(), Kind.INT: arrow.int64(), Kind.FLOAT: arrow.float64()}
    schema = arrow.schema([(one.name, types.get(one.kind, arrow.large_string())) for one in table.columns])
    rows = table.rows()
    with parquet.ParquetWriter(path, schema) as file:
        while chunk := list(islice(rows, _ROWS_AT_ONCE)):
            columns = zip(table.columns, zip(*chunk, strict=True), strict=True)
            cells = [[plain(column, value) for value in values] for column, values in columns]
            file.write_table(arrow.table(cells, schema=schema))


def plain(column: Column, value: Json) -> bool | int | float | str | None:
    """Return a value as its column's kind, for tables whose columns have types."""
    match column.kind:
        case Kind.FLOAT:
            return None if value is None else float(value)  # type: ignore[arg-type]
        case Kind.JSON:
            return value if isinstance(value, str) or value is None else json.dumps(value, ensure_ascii=False)
        case _:
            return cell(value)


def write_workbook(table: Table, path: Path, style: CsvStyle) -> None:
    """Write a table as the one sheet of a workbook; texts are texts there, whatever they begin with."""
    openpyxl = needed("openpyxl")
    if table.length >= _SHEET_ROWS:
        raise UserError(
            f"a worksheet holds {_SHEET_ROWS - 1:,} rows and these are {table.length:,}; write .parquet or .csv"
        )
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("results")
    sheet.freeze_panes = "A2"
    names = [column.name for column in table.columns]
    try:
        sheet.append([_text_cell(sheet, name, style) for name in names])
        for number, row in enumerate(table.rows(), 2):
            sheet.append(
                [_sheet_cell(sheet, value, style, number, name) for name, value in zip(names, row, strict=True)]
            )
    except UserError:
        sheet.close()
        raise
    book.save(path)


def _sheet_cell(sheet: Any, value: Json, style: CsvStyle, row: int, name: str) -> Any:
    text = cell(value)
    if isinstance(text, str) and len(text) >= _CELL_CHARS:
        raise UserError(
            f"row {row}, '{name}': {len(text):,} characters, and an Excel cell holds {_CELL_CHARS:,}; write .parquet "
            "or .csv: the results are kept, `firstline results JOB --out FILE` writes them"
        )
    return _text_cell(sheet, text, style) if isinstance(text, str) else text


def _text_cell(sheet: Any, text: str, style: CsvStyle) -> Any:
    made = needed("openpyxl.cell").WriteOnlyCell(sheet, value=pictured(text) if style.raw else harmless(text))
    made.data_type = "s"
    return made


WRITERS: dict[str, Writer] = {
    ".csv": write_csv,
    ".jsonl": write_jsonl,
    ".parquet": write_parquet,
    ".xlsx": write_workbook,
}
#: What a file of this ending needs besides.
LIBRARIES = {".parquet": "pyarrow", ".xlsx": "openpyxl"}


def needed(module: str) -> Any:
    """Return a module of the extra `tables`; UserError where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise UserError(
            f"{module.partition('.')[0]} is needed and not installed: pip install 'firstline[tables]'"
        ) from None
