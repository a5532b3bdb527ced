"""The items of a job as a person brings them: a CSV, JSONL or JSON file, a folder of texts, or standard input."""

import csv
import json
import os
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryDirectory
from typing import IO, NamedTuple, cast

from firstline.schemas.base import Json, JsonObject
from firstline.schemas.errors import UserError

#: An item longer than this fails alone; no model reads that much.
MAX_ITEM_BYTES = 5_000_000
#: A CSV row longer than this is a quotation mark left open, not a row.
MAX_ROW_BYTES = 64_000_000
#: A JSON array is read as a whole; beyond this it should be JSONL.
MAX_ARRAY_BYTES = 512_000_000
MAX_ID_CHARS = 200
BOM = b"\xef\xbb\xbf"
STDIN = "-"


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value; expected a number or null")


#: Built once: `json.loads` and `json.dumps` with options build theirs at every call.
_decode = json.JSONDecoder(parse_constant=_no_constant).decode
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


class InputItem(NamedTuple):
    """One item: its id, its fields, and, where it cannot be used, why (it is then kept as failed)."""

    item_id: str
    input: JsonObject
    error: str | None = None


class _Record(NamedTuple):
    """One input record before it has an id: `place` is where it stands, as people count."""

    place: str
    fields: JsonObject
    error: str | None = None
    #: The id that the place itself gives (a file's name).
    item_id: str | None = None


def read_items(source: str | Path, *, id_field: str | None = None, limit: int | None = None) -> Iterator[InputItem]:
    """Yield the items of a file, a folder or standard input (`-`), CSV and JSONL in constant memory.

    An item's id is its field `id_field` (default `id`), a text file's name, or else its 1-based position. What is
    wrong with one item becomes its `error`. What is wrong with the input as a whole raises a UserError: at once where
    it shows in the first record, else when the reading gets there.
    """
    name = "standard input" if str(source) == STDIN else str(source)
    records = _records(source, name)
    first = next(records, None)
    if first is None:
        raise UserError(f"{name} holds no items; expected at least one")
    return _identified(islice(chain([first], records), limit), name, id_field)


def count_items(source: str | Path, *, id_field: str | None = None, limit: int | None = None) -> int:
    """Return how many items `read_items` would yield; raises the UserErrors of the whole input before work begins."""
    return counted(read_items(source, id_field=id_field, limit=limit))


def counted(items: Iterable[InputItem]) -> int:
    """Return how many items there are; a bad item fails alone, that not one can be read is a UserError."""
    count, readable, first = 0, 0, None
    for item in items:
        count += 1
        readable += item.error is None
        first = first or item.error
    if count and not readable:
        raise UserError(f"none of the {count:,} items can be read; the first: {first}")
    return count


@contextmanager
def readable_twice(source: str | Path) -> Iterator[str | Path]:
    """Yield a source that can be read more than once: pipes and standard input are copied to a temporary file."""
    piped = str(source) == STDIN
    if not piped and (not os.path.exists(source) or os.path.isfile(source) or os.path.isdir(source)):
        yield source
        return
    with TemporaryDirectory(prefix="firstline-") as folder:
        copy = Path(folder) / "standard input"
        with _open(source) as stream, copy.open("wb") as target:
            copyfileobj(stream, target)
        yield copy


def _records(source: str | Path, name: str) -> Iterator[_Record]:
    if str(source) != STDIN and os.path.isdir(source):
        yield from _folder(Path(source), name)
        return
    with _open(source) as stream:
        read = _reader(source, stream)
        yield from read(stream, name)


def _open(source: str | Path) -> IO[bytes]:
    if str(source) == STDIN:
        return open(sys.stdin.fileno(), "rb", closefd=False)
    try:
        return open(source, "rb")
    except FileNotFoundError:
        raise UserError(f"input {source} does not exist; give a file, a folder of text files, or - for stdin") from None
    except OSError as error:
        raise UserError(f"input {source} cannot be read ({error.strerror}); check its permissions") from None


_Reader = Callable[[IO[bytes], str], Iterator[_Record]]


def _reader(source: str | Path, stream: IO[bytes]) -> _Reader:
    """Choose a reader by the file's extension, else (and for `.json`) by its first character."""
    match Path(source).suffix.lower():
        case ".csv" | ".tsv":
            return _csv
        case ".jsonl" | ".ndjson":
            return _jsonl
    head = stream.peek(4096).removeprefix(BOM).lstrip()  # type: ignore[attr-defined]
    if head.splitlines()[:1] == [b"{"]:
        raise UserError(f"{source} is one JSON object; expected an array of objects, or one object on every line")
    return {b"[": _array, b"{": _jsonl}.get(head[:1], _csv)


# CSV ------------------------------------------------------------------------------------------------------------


class _Lines:
    """The lines of a binary stream as text, counting the bytes read."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._stream = stream
        self._name = name
        self.offset = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        raw = self._stream.readline(MAX_ROW_BYTES)
        if not raw:
            raise StopIteration
        text = _decoded(raw, self._name, self.offset)
        self.offset += len(raw)
        return text


def _decoded(raw: bytes, name: str, offset: int) -> str:
    skipped = len(BOM) if offset == 0 and raw.startswith(BOM) else 0
    try:
        return raw[skipped:].decode()
    except UnicodeDecodeError as error:
        place = offset + skipped + error.start
        raise UserError(
            f"{name} is not UTF-8: byte offset {place} holds 0x{raw[skipped + error.start]:02x}; save it as UTF-8"
        ) from None


def _csv(stream: IO[bytes], name: str) -> Iterator[_Record]:
    lines = _Lines(stream, name)
    top = next((line for line in lines if line.strip()), None)
    if top is None:
        raise UserError(f"{name} is empty; expected a CSV with a header row, JSONL or a JSON array")
    csv.field_size_limit(MAX_ROW_BYTES)
    delimiter = max(",;\t|", key=top.count)
    rows = csv.reader(chain([top], lines), delimiter=delimiter, strict=True)
    header = _header(_row(rows, 1, name) or [], name)
    yield from _csv_rows(rows, header, lines, name)


def _csv_rows(rows: Iterator[list[str]], header: list[str], lines: _Lines, name: str) -> Iterator[_Record]:
    number, begun = 1, lines.offset
    while (row := _row(rows, number + 1, name)) is not None:
        number, size, begun = number + 1, lines.offset - begun, lines.offset
        if not row:
            continue
        if len(row) != len(header):
            raise UserError(
                f"{name}: row {number} has {_count(len(row), 'field')}, expected {len(header)} "
                f"({', '.join(header)}); mend the row, or quote the field that holds a delimiter"
            )
        yield _checked(f"row {number}", dict(zip(header, row, strict=True)), size)


def _row(rows: Iterator[list[str]], number: int, name: str) -> list[str] | None:
    try:
        return next(rows, None)
    except csv.Error as error:
        raise UserError(f"{name}: row {number} is not valid CSV ({error}); is a quotation mark left open?") from None


def _header(cells: list[str], name: str) -> list[str]:
    header = [cell.strip() for cell in cells]
    for column, cell in enumerate(header, 1):
        if not cell or _is_number(cell):
            raise UserError(
                f"{name} has no header: row 1 must name the columns, but column {column} is {cell!r}; add a first row "
                "such as id,text"
            )
    doubled = sorted({cell for cell in header if header.count(cell) > 1})
    if doubled:
        raise UserError(f"{name}: row 1 names a column twice ({', '.join(doubled)}); every column needs its own name")
    return header


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# JSONL and JSON -------------------------------------------------------------------------------------------------


def _jsonl(stream: IO[bytes], name: str) -> Iterator[_Record]:
    offset = 0
    for number, (raw, size) in enumerate(_raw_lines(stream), 1):
        place = f"line {number}"
        if size > MAX_ITEM_BYTES:
            yield _Record(place, {}, _too_long(size))
        elif text := _decoded(raw, name, offset).strip():
            yield _parsed(place, text, size)
        offset += size


def _raw_lines(stream: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Yield each line and its length in bytes; a line too long for an item is cut, its rest passed over in pieces."""
    while raw := stream.readline(MAX_ITEM_BYTES + 1):
        size, piece = len(raw), raw
        while len(piece) > MAX_ITEM_BYTES and not piece.endswith(b"\n"):
            piece = stream.readline(MAX_ITEM_BYTES + 1)
            size += len(piece)
        yield raw, size


def _parsed(place: str, text: str, size: int) -> _Record:
    try:
        value = _decode(text)
    except RecursionError:
        return _Record(place, {}, f"{place} is nested too deeply")
    except ValueError as error:
        return _Record(place, {}, f"{place} is not valid JSON: {error}")
    return _object(place, value, size)


def _array(stream: IO[bytes], name: str) -> Iterator[_Record]:
    raw = stream.read(MAX_ARRAY_BYTES + 1)
    if len(raw) > MAX_ARRAY_BYTES:
        raise UserError(f"{name}: a JSON array over {MAX_ARRAY_BYTES // 10**6} MB; write it as JSONL, one item a line")
    try:
        values = _decode(_decoded(raw, name, 0).strip())
    except RecursionError:
        raise UserError(f"{name} is nested too deeply; expected an array of flat objects") from None
    except ValueError as error:
        raise UserError(f"{name} is not a valid JSON array: {error}; mend it, or write one item a line") from None
    for number, value in enumerate(values, 1):
        yield _object(f"element {number}", value, 0)


def _object(place: str, value: Json, size: int) -> _Record:
    if isinstance(value, dict):
        return _checked(place, value, size)
    kind = {str: "a text", bool: "a truth value", list: "a list", type(None): "null"}.get(type(value), "a number")
    return _Record(place, {}, f"{place} is {kind}; expected an object with fields")


def _checked(place: str, fields: JsonObject, size: int) -> _Record:
    """Refuse what databases and providers refuse: too long, NUL characters, unpaired surrogates, endless numbers."""
    reason = None
    try:
        text = _encode(fields)
        size = max(size, len(text.encode()))
        if "\\u0000" in text and _holds_nul(fields):
            reason = f"{place} holds a NUL character; it is not text"
    except UnicodeEncodeError:
        reason = f"{place} holds half a character (an unpaired surrogate)"
    except ValueError:
        reason = f"{place} holds a number too large for JSON"
    except RecursionError:
        reason = f"{place} is nested too deeply"
    if size > MAX_ITEM_BYTES:
        reason = _too_long(size)
    return _Record(place, {} if reason else fields, reason)


def _holds_nul(value: Json) -> bool:
    if isinstance(value, dict):
        return any(_holds_nul(part) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return any(map(_holds_nul, value))
    return isinstance(value, str) and "\0" in value


def _too_long(size: int) -> str:
    return f"the item is {size / 1e6:.1f} MB; the limit is {MAX_ITEM_BYTES // 10**6} MB: split it"


# Folders ----------------------------------------------------------------------------------------------------------


def _folder(folder: Path, name: str) -> Iterator[_Record]:
    """Yield every file below the folder that is not hidden, in the order of their names."""
    files = sorted(_files(folder), key=lambda path: path.relative_to(folder).as_posix())
    if not files:
        raise UserError(f"folder {name} holds no files; put one text file per item into it")
    for path in files:
        yield _text_file(path, path.relative_to(folder).as_posix())


def _files(folder: Path) -> Iterator[Path]:
    for top, below, names in os.walk(folder, onerror=_unreadable_folder):
        below[:] = [part for part in below if not part.startswith(".")]
        yield from (Path(top) / part for part in names if not part.startswith("."))


def _unreadable_folder(error: OSError) -> None:
    raise UserError(f"folder {error.filename} cannot be read ({error.strerror}); check its permissions")


def _text_file(path: Path, name: str) -> _Record:
    """Read one file; whatever is wrong with it is its own failure."""
    try:
        size = path.stat().st_size
        if size > MAX_ITEM_BYTES:
            return _Record(name, {}, _too_long(size), item_id=name)
        text = _decoded(path.read_bytes(), name, 0)
    except OSError as error:
        return _Record(name, {}, f"{name} cannot be read ({error.strerror})", item_id=name)
    except UserError as error:
        return _Record(name, {}, str(error), item_id=name)
    return _checked(name, {"name": name, "text": text}, size)._replace(item_id=name)


# Ids --------------------------------------------------------------------------------------------------------------


def _identified(records: Iterator[_Record], name: str, id_field: str | None) -> Iterator[InputItem]:
    """Give every record its id; the first usable record decides whether ids come from a field or from positions."""
    field = id_field or "id"
    head = _until_usable(records)
    named = head[-1].item_id is not None or _id(head[-1].fields.get(field)) is not None
    if id_field and not head[-1].error and not head[-1].item_id and field not in head[-1].fields:
        have = ", ".join(head[-1].fields) or "none"
        raise UserError(f"{name} has no field '{field}' to take ids from; its fields are: {have}")
    seen = _Seen(name)
    for position, record in enumerate(chain(head, records), 1):
        yield _item(record, field, seen) if named or id_field else _by_position(record, position)


def _until_usable(records: Iterator[_Record]) -> list[_Record]:
    """Return the records up to the first without an error."""
    head = []
    for record in records:
        head.append(record)
        if record.error is None:
            break
    return head


def _by_position(record: _Record, position: int) -> InputItem:
    return InputItem(str(position), record.fields, record.error)


def _item(record: _Record, field: str, seen: "_Seen") -> InputItem:
    item_id = record.item_id or _id(record.fields.get(field))
    if item_id is not None:
        seen.add(item_id, record.place)
        return InputItem(item_id, record.fields, record.error)
    missing = f"{record.place} has no usable '{field}', which other items have; expected a text or a whole number"
    return InputItem(f"({record.place})", record.fields, record.error or missing)


def _id(value: Json) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value).strip()
    return text if 0 < len(text) <= MAX_ID_CHARS else None


class _Seen:
    """The ids seen so far, in a temporary SQLite file: a million ids cost no memory."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("pragma cache_size = -32000")
        self._db.execute("create table seen (id text primary key, place text) without rowid")
        self._db.execute("begin")

    def add(self, item_id: str, place: str) -> None:
        """Note an id; UserError when it was there before."""
        try:
            self._db.execute("insert into seen values (?, ?)", (item_id, place))
        except sqlite3.IntegrityError:
            first = cast(str, self._db.execute("select place from seen where id = ?", (item_id,)).fetchone()[0])
            raise UserError(
                f"{self._name}: id '{item_id}' stands twice, at {first} and at {place}; every item needs its own id"
            ) from None


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
