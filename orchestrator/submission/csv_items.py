"""CSV as people have it: its delimiter found and checked, its header mended, a bad row failed alone."""

import csv
import io
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from firstline.orchestrator.submission.encodings import Encoding
from firstline.orchestrator.submission.record import Record, as_record
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.errors import UserError

#: A row longer than this is a quotation mark left open, not a row.
MAX_ROW_CHARS = 10_000_000
#: Lines that the delimiter is found by.
_SAMPLE_LINES = 200
_SAMPLE_CHARS = 500_000
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_INVISIBLE = "\ufeff\u200b\u200e\u200f\xa0 \t"
_NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)?")
_YEAR = re.compile(r"(?:19|20)\d\d")
#: Bytes that the encoding does not have arrive as these (PEP 383), or, in wide encodings, as U+FFFD.
_UNREAD = re.compile("[\udc80-\udcff]")
_UNREAD_WIDE = re.compile("\ufffd")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the fields of a row are told apart."""

    delimiter: str = ","
    #: `a, "b"`: the space belongs to the delimiter.
    skips_space: bool = False
    #: `"a \\" b"`: a quotation mark within quotes is escaped, not doubled.
    escaped: bool = False
    #: There is one column, and what looks like a delimiter is text.
    is_single: bool = False

    def row(self, lines: Iterator[str]) -> list[str]:
        """Return the next row; csv.Error when it is malformed, StopIteration at the end."""
        if self.is_single and (line := next(lines)) is not None:
            if not line.startswith('"'):
                return [line.rstrip("\r\n")] if line.strip() else []
            lines = _put_back(line, lines)
        return next(
            csv.reader(
                lines,
                delimiter=self.delimiter,
                skipinitialspace=self.skips_space,
                escapechar="\\" if self.escaped else None,
                doublequote=not self.escaped,
                strict=True,
            )
        )


def csv_records(stream: IO[bytes], name: str, encoding: Encoding, notes: list[str]) -> Iterator[Record]:
    """Yield the rows of a CSV file as records; what was assumed of it is added to `notes`.

    UserError where the file as a whole will not do: nothing in it, no header, a column named twice.
    """
    csv.field_size_limit(MAX_ROW_CHARS)
    stream.seek(encoding.mark)
    text = io.TextIOWrapper(stream, encoding.name, errors=_errors(encoding), newline="")
    lines = _Lines(text)
    declared = _begin(lines, name)
    sample = lines.sample()
    dialect = Dialect(declared) if declared else _dialect(sample, name)
    notes += _dialect_notes(dialect, declared)
    header = Header.read(_first_row(dialect, lines, name), name)
    notes += header.notes
    unread = _UNREAD if _errors(encoding) == "surrogateescape" else _UNREAD_WIDE
    for place, cells in _rows(dialect, lines, len(header.names)):
        yield _record(place, cells, header, encoding, unread)
    text.detach()


def _errors(encoding: Encoding) -> str:
    return "replace" if encoding.name.startswith(("utf-16", "utf-32")) else "surrogateescape"


# Lines ------------------------------------------------------------------------------------------------------------


class _Lines:
    """The lines of a text, which can be put back, with their numbers."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self._stream = stream
        self._ahead: deque[str] = deque()
        #: Number of the last line taken.
        self.number = 0
        #: Lines taken since `mark`.
        self.taken: list[str] = []
        self._chars = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._chars > MAX_ROW_CHARS:
            raise StopIteration
        line = self._ahead.popleft() if self._ahead else self._stream.readline(MAX_ROW_CHARS)
        if not line:
            raise StopIteration
        self.number += 1
        self.taken.append(line)
        self._chars += len(line)
        return line

    def mark(self) -> None:
        """Begin a row here."""
        self.taken, self._chars = [], 0

    def put_back(self, keep: int) -> None:
        """Put back all lines since the mark but the first `keep`."""
        back = self.taken[keep:]
        self._ahead.extendleft(reversed(back))
        self.number -= len(back)
        self.taken = self.taken[:keep]

    def sample(self) -> list[str]:
        """Return the lines that follow, and put them back."""
        self.mark()
        found, chars = [], 0
        for line in self:
            found.append(line)
            chars += len(line)
            if len(found) >= _SAMPLE_LINES or chars > _SAMPLE_CHARS:
                break
        self.put_back(0)
        return found


def _put_back(line: str, lines: Iterator[str]) -> Iterator[str]:
    yield line
    yield from lines


def _begin(lines: _Lines, name: str) -> str | None:
    """Pass over blank lines and Excel's `sep=;`; return the delimiter that it names."""
    for line in lines:
        if found := _SEPARATOR_LINE.fullmatch(line.lstrip("\ufeff")):
            return found[1]
        if line.strip():
            lines.mark()
            lines.taken = [line]
            lines.put_back(0)
            return None
    raise UserError(f"{name} is empty; expected a CSV with a header row, JSONL or a JSON array")


# Dialect ----------------------------------------------------------------------------------------------------------


def _dialect(sample: Sequence[str], name: str) -> Dialect:
    """Return the dialect by which most rows have as many fields as the header, and most of them."""
    candidates = [Dialect(delimiter) for delimiter in ("\t", *_DELIMITERS)] if name.endswith(".tsv") else []
    candidates += [Dialect(delimiter) for delimiter in _DELIMITERS]
    text = "".join(sample)
    if re.search(r'[,;|\t] +"', text):
        candidates += [Dialect(one.delimiter, skips_space=True) for one in candidates]
    if '\\"' in text:
        candidates += [Dialect(one.delimiter, one.skips_space, escaped=True) for one in candidates]
    best = max(candidates, key=lambda dialect: _fitness(dialect, sample))
    return best if _fitness(best, sample)[1] > 1 else Dialect(is_single=True)


def _fitness(dialect: Dialect, sample: Sequence[str]) -> tuple[float, int]:
    """Return the share of rows that have the header's number of fields, and that number."""
    rows = [row for row in _sample_rows(dialect, sample) if row != []]
    width = len(rows[0]) if rows and rows[0] else 0
    if width < 2:
        return 0.0, width
    good = sum(1 for row in rows if row is not None and len(row) == width)
    return round(good / len(rows), 1), width


def _sample_rows(dialect: Dialect, sample: Sequence[str]) -> Iterator[list[str] | None]:
    lines = iter(sample)
    while True:
        try:
            yield dialect.row(lines)
        except StopIteration:
            return
        except csv.Error:
            yield None


def _dialect_notes(dialect: Dialect, declared: str | None) -> Iterator[str]:
    if declared:
        yield f"`sep={declared}` in the first line names the delimiter"
    elif dialect.is_single:
        yield "one column: what looks like a delimiter in it is text"
    elif dialect.delimiter != ",":
        yield f"fields are set apart by {_DELIMITERS[dialect.delimiter]}"


# Header -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Header:
    """The names of a table's columns."""

    names: tuple[str, ...]
    #: Places of columns without a name: what is empty in them is left out.
    unnamed: frozenset[int]
    notes: tuple[str, ...]

    @classmethod
    def read(cls, cells: Sequence[str], name: str) -> "Header":
        """Return the header that a first row is; UserError where it is data, or names a column twice."""
        stripped = [cell.strip(_INVISIBLE) for cell in cells]
        _refuse_data(stripped, name)
        unnamed = [place for place, cell in enumerate(stripped) if not cell]
        names = tuple(cell or f"column_{place}" for place, cell in enumerate(stripped, 1))
        _refuse_doubles(names, name)
        notes = (f"columns without a name are called column_N ({len(unnamed)} of {len(names)})",) if unnamed else ()
        return cls(names, frozenset(unnamed), notes)

    def fields(self, cells: Sequence[Json]) -> JsonObject:
        """Return a row's cells by name; what is empty in a column without a name is left out."""
        if not self.unnamed:
            return dict(zip(self.names, cells, strict=True))
        named = enumerate(zip(self.names, cells, strict=True))
        return {name: cell for place, (name, cell) in named if cell not in (None, "") or place not in self.unnamed}


def _refuse_data(cells: Sequence[str], name: str) -> None:
    """Refuse a first row that is data: numbers stand in it that are neither years nor 0, 1, 2 as pandas counts."""
    numbers = [(column, cell) for column, cell in enumerate(cells, 1) if _NUMBER.fullmatch(cell)]
    odd = [(column, cell) for column, cell in numbers if not _YEAR.fullmatch(cell)]
    counted = [cell for _, cell in odd] in ([str(n) for n in range(start, start + len(odd))] for start in (0, 1))
    if (odd and not (counted and len(odd) > 1)) or not any(cells):
        column, cell = odd[0] if odd else (1, "")
        raise UserError(
            f"{name} has no header: row 1 must name the columns, but column {column} is {cell!r}; add a first row "
            "such as id,text"
        )


def _refuse_doubles(names: Iterable[str], name: str) -> None:
    doubled = sorted(cell for cell, times in Counter(names).items() if times > 1)
    if doubled:
        raise UserError(
            f"{name}: row 1 names a column twice ({', '.join(doubled[:10])}); every column needs its own name"
        )


# Rows -------------------------------------------------------------------------------------------------------------


def _first_row(dialect: Dialect, lines: _Lines, name: str) -> list[str]:
    lines.mark()
    try:
        return dialect.row(lines)
    except csv.Error as error:
        raise UserError(f"{name}: row 1 is not valid CSV ({error}); is a quotation mark left open?") from None


def _rows(dialect: Dialect, lines: _Lines, width: int) -> Iterator[tuple[str, list[str] | str]]:
    """Yield each row's place with its fields, or with the reason why it has none; blank lines are passed over."""
    number = 1
    while True:
        lines.mark()
        begun = lines.number + 1
        try:
            row: list[str] | str = dialect.row(lines)
        except StopIteration:
            return
        except csv.Error as error:
            row = f"is not valid CSV ({error}); is a quotation mark left open?"
        if len(lines.taken) > 1 and (isinstance(row, str) or len(row) != width):
            lines.put_back(1)  # an open quotation mark ran into the rows below: they are read again
            row = "is not valid CSV; is a quotation mark left open?"
        number += 1
        if row:
            yield f"row {number}" if number == begun else f"row {number} (line {begun})", row


def _record(place: str, row: list[str] | str, header: Header, encoding: Encoding, unread: re.Pattern[str]) -> Record:
    if isinstance(row, str):
        return Record(place, {}, f"{place} {row}")
    width = len(header.names)
    if len(row) > width and not any(row[width:]):
        row = row[:width]
    if len(row) != width:
        return Record(place, {}, _ragged(place, row, header))
    for name, cell in zip(header.names, row, strict=True):
        if not cell.isascii() and (bad := unread.search(cell)):
            return Record(place, {}, _not_in(encoding, place, name, bad[0]))
    return as_record(place, header.fields(row))


def _ragged(place: str, row: Sequence[str], header: Header) -> str:
    shown = ", ".join(header.names[:12]) + (", ..." if len(header.names) > 12 else "")
    return (
        f"{place} has {len(row)} field{'s' * (len(row) != 1)}, expected {len(header.names)} ({shown}); mend the row, "
        "or quote the field that holds a delimiter"
    )


def _not_in(encoding: Encoding, place: str, name: str, bad: str) -> str:
    byte = f"byte 0x{ord(bad) - 0xDC00:02x}" if bad != "\ufffd" else "a damaged character"
    return f"{place} is not {encoding.name.upper()}: '{name}' holds {byte}; save the file as UTF-8"
