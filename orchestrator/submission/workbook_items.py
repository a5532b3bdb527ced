"""Items from Excel workbooks: the first sheet, row by row, merged cells filled and uncalculated formulas refused."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any
from zipfile import BadZipFile, ZipFile

from firstline.orchestrator.submission.csv_items import Header
from firstline.orchestrator.submission.encodings import Encoding
from firstline.orchestrator.submission.record import Record, as_record
from firstline.orchestrator.submission.table_items import as_json, library
from firstline.schemas.errors import UserError

_CHUNK = 1 << 20
#: Parts of a workbook, their bytes unpacked, and those of them that are no sheet: texts that cells share take several
#: times as much in memory.
_MOST_PARTS, _MOST_WHOLE, _MOST_HELD = 10_000, 4_000_000_000, 100_000_000
#: Longer than any cell with a formula (8,192 characters): what is found at the end of a piece is whole in the next.
_OVERLAP = 20_000
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell [^>]*?ref="([A-Z]+)(\d+):([A-Z]+)(\d+)"')
_UNCALCULATED = re.compile(
    rb'<(?:\w+:)?c [^>]*?r="([A-Z]+)(\d+)"[^>]*><(?:\w+:)?f[ >/](?:(?!</?(?:\w+:)?[vc][ >/]).)*?'
    rb"(?:<(?:\w+:)?v ?/>|<(?:\w+:)?v></(?:\w+:)?v>)?</(?:\w+:)?c>",
    re.DOTALL,
)

_Row = tuple[int, list[Any]]


@dataclass(frozen=True, slots=True)
class _Range:
    """Merged cells; rows from 1, columns from 0."""

    top: int
    bottom: int
    left: int
    right: int


@dataclass
class _Sheet:
    """What a sheet's values alone do not say."""

    #: Merged cells, by the row that they begin in.
    merged: dict[int, list[_Range]] = field(default_factory=lambda: defaultdict(list))
    #: Row -> columns of formulas whose value was never saved.
    uncalculated: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))

    @classmethod
    def scanned(cls, stream: IO[bytes]) -> "_Sheet":
        """Read a sheet's XML, a piece at a time."""
        found, held = cls(), b""
        while piece := stream.read(_CHUNK):
            held = held[-_OVERLAP:] + piece
            for match in _UNCALCULATED.finditer(held):
                found.uncalculated[int(match[2])].add(_column(match[1]))
            for match in _MERGED.finditer(held):
                one = _Range(int(match[2]), int(match[4]), _column(match[1]), _column(match[3]))
                if one not in found.merged[one.top]:
                    found.merged[one.top].append(one)
        return found

    def filled(self, rows: Iterator[_Row]) -> Iterator[_Row]:
        """Yield rows with what stands in the first of merged cells in all of them."""
        open_: list[tuple[_Range, Any]] = []
        for number, row in rows:
            begun = [(one, row[one.left]) for one in self.merged.get(number, ()) if one.left < len(row)]
            open_ = [(one, value) for one, value in (*open_, *begun) if one.bottom >= number]
            for one, value in open_:
                row[one.left : one.right + 1] = [value] * (min(one.right + 1, len(row)) - one.left)
            yield number, row

    def is_title(self, number: int, row: list[Any]) -> bool:
        """Whether a row is one text over several columns, as stands above a table."""
        only = [place for place, value in enumerate(row) if value is not None]
        return len(only) == 1 and any(one.left == only[0] < one.right for one in self.merged.get(number, ()))


def workbook_records(stream: IO[bytes], name: str, encoding: Encoding, notes: list[str]) -> Iterator[Record]:
    """Yield the rows of a workbook's first sheet; formulas count as the values that were last saved."""
    openpyxl = library("openpyxl", name)
    _refuse_bomb(stream, name)
    try:
        book = openpyxl.load_workbook(stream, read_only=True, data_only=True)
        sheet = book.worksheets[0]
        # openpyxl tells of neither when it reads row by row.
        with book._archive.open(sheet._worksheet_path) as xml:
            told = _Sheet.scanned(xml)
    except Exception as error:
        raise _unreadable(name, error) from None
    if len(book.worksheets) > 1:
        notes.append(f"the sheet '{sheet.title}' is read, the first of {len(book.worksheets)}")
    rows = ((number, list(row)) for number, row in enumerate(_each_row(sheet, name), 1))
    yield from _records(((number, row) for number, row in rows if any(_filled(row))), told, name, notes)


def _each_row(sheet: Any, name: str) -> Iterator[tuple[Any, ...]]:
    try:
        yield from sheet.iter_rows(values_only=True)
    except Exception as error:
        raise _unreadable(name, error) from None


def _unreadable(name: str, error: Exception) -> UserError:
    """Return what is said where a library stumbles over a workbook, by whatever it raises."""
    return UserError(f"{name} is no workbook that can be read ({str(error)[:200]}); save it as .xlsx")


def _refuse_bomb(stream: IO[bytes], name: str) -> None:
    """Refuse a workbook whose parts are, unpacked, more than is held of one: openpyxl reads all but sheets at once."""
    try:
        with ZipFile(stream) as book:
            parts = book.infolist()
    except (BadZipFile, OSError, ValueError):
        return  # openpyxl says what is wrong
    finally:
        stream.seek(0)
    held = sum(part.file_size for part in parts if "/worksheets/" not in part.filename)
    whole = sum(part.file_size for part in parts)
    if len(parts) > _MOST_PARTS or held > _MOST_HELD or whole > _MOST_WHOLE:
        raise UserError(
            f"{name} is {whole / 1e6:,.0f} MB in {len(parts):,} parts unpacked, {held / 1e6:,.0f} MB beside its sheets "
            f"(at most {_MOST_WHOLE / 1e6:,.0f}, {_MOST_PARTS:,}, {_MOST_HELD / 1e6:,.0f}); save the sheet as CSV"
        )


def _records(rows: Iterator[_Row], told: _Sheet, name: str, notes: list[str]) -> Iterator[Record]:
    first = next(rows, None)
    if first is not None and told.is_title(*first):
        notes.append(f"row {first[0]} is passed over: it is a title over several columns")
        first = next(rows, None)
    if first is None:
        return
    number, top = first
    while top and top[-1] is None:
        top.pop()
    header = Header.read(["" if cell is None else str(cell) for cell in top], name)
    notes += header.notes
    # What is merged with the header names columns, and is no value of a row.
    for above in [above for above in told.merged if above <= number]:
        del told.merged[above]
    if told.merged:
        ranges = sum(len(one) for one in told.merged.values())
        notes.append(f"merged cells ({ranges:,}): what stands in the first of them counts for all")
    for at, row in told.filled(rows):
        yield _of_row(f"row {at}", row, header, told.uncalculated.get(at, set()))


def _filled(row: list[Any]) -> Iterator[bool]:
    return (cell is not None for cell in row)


def _of_row(place: str, row: list[Any], header: Header, uncalculated: set[int]) -> Record:
    width = len(header.names)
    if any(cell is not None for cell in row[width:]):
        return Record(place, {}, f"{place} has values beyond the last named column; name it, or clear them")
    if named := [header.names[column] for column in sorted(uncalculated) if column < width]:
        return Record(
            place,
            {},
            f"{place}: '{named[0]}' is a formula that was never calculated; open the workbook in Excel or LibreOffice "
            "and save it",
        )
    cells = [*row[:width], *[None] * (width - len(row))]
    try:
        fields = header.fields([as_json(cell) for cell in cells])
    except ValueError as error:
        return Record(place, {}, f"{place} holds {error}")
    return as_record(place, fields)


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number - 1
