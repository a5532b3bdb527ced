"""The items of a job as a person brings them: a table, JSONL, a JSON array, a folder of texts, or standard input."""

import glob
import os
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from itertools import chain, islice
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, NamedTuple, cast

from firstline.orchestrator.submission.csv_items import csv_records
from firstline.orchestrator.submission.encodings import UTF_8, Encoding, encoding_of, known_encoding
from firstline.orchestrator.submission.json_items import array_records, jsonl_records
from firstline.orchestrator.submission.record import MAX_ITEM_BYTES, Record, as_record, too_long
from firstline.orchestrator.submission.remote_items import fetched, is_remote
from firstline.orchestrator.submission.table_items import PACKED_ENDINGS, unpacked
from firstline.orchestrator.submission.table_process import arrow_records, parquet_records
from firstline.orchestrator.submission.workbook_items import workbook_records
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.errors import UserError
from firstline.workers.rules.json_bounds import refusal

MAX_ID_CHARS = 200
STDIN = "-"


class InputItem(NamedTuple):
    """One item: its id, its fields, and, where it cannot be used, why (it is then kept as failed)."""

    item_id: str
    input: JsonObject
    error: str | None = None


class Items(Iterator[InputItem]):
    """The items of an input, one after the other."""

    def __init__(self, items: Iterator[InputItem], notes: list[str]) -> None:
        self._items = items
        self._notes = notes

    def __next__(self) -> InputItem:
        """Return the next item."""
        return next(self._items)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed of the input, as sentences; complete once the first item is read."""
        return tuple(self._notes)


def read_items(
    source: str | Path,
    *,
    name: str | None = None,
    id_field: str | None = None,
    limit: int | None = None,
    encoding: str | None = None,
) -> Items:
    """Return the items of a file, a folder or standard input (`-`), read as they are asked for in constant memory.

    An item's id is its field `id_field` (default `id`), a text file's name, or else its 1-based position. Encoding and
    dialect are found (or `encoding` given), and told in `notes`. What is wrong with one item becomes its `error`; what
    is wrong with the input as a whole raises a UserError: at once where it shows in the first record, else when the
    reading gets there. `name` is what people are told that is read.
    """
    name = name or ("standard input" if str(source) == STDIN else str(source))
    notes: list[str] = []
    records = _records(source, name, encoding, notes)
    first = next(records, None)
    if first is None:
        raise UserError(f"{name} holds no items; expected at least one")
    return Items(_identified(islice(chain([first], records), limit), name, id_field), notes)


def as_item(given: InputItem | JsonObject, n: int) -> InputItem:
    """Return a program's own record as the n-th item (from 0), through the door that those of files pass."""
    if isinstance(given, InputItem):
        return given
    record, own = as_record(f"item {n + 1}", given), given.get("id")
    if own is None or refusal(own)[0] is not None:
        return InputItem(str(n + 1), record.fields, record.error)
    item_id, long = str(own), f"the id of item {n + 1} is too long; expected at most {MAX_ID_CHARS} characters"
    if len(item_id) > MAX_ID_CHARS:
        return InputItem(str(n + 1), {}, record.error or long)
    return InputItem(item_id, record.fields, record.error)


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
    """Yield a source that can be read more than once: what flows or is elsewhere is copied to a temporary file."""
    if is_remote(source):
        with fetched(str(source)) as copies:
            yield copies
        return
    piped = str(source) == STDIN
    if not piped and (not os.path.exists(source) or os.path.isfile(source) or os.path.isdir(source)):
        yield source
        return
    with TemporaryDirectory(prefix="firstline-") as folder:
        copy = Path(folder) / "standard input"
        with _stream(source) as stream, copy.open("wb") as target:
            copyfileobj(stream, target)
        yield copy


def _records(source: str | Path, name: str, encoding: str | None, notes: list[str]) -> Iterator[Record]:
    if str(source) != STDIN and os.path.isdir(source):
        yield from _folder(Path(source), name)
        return
    if files := _matching(source):
        for file in files:
            yield from (record.within(file) for record in _records(file, file, encoding, notes))
        return
    with _open(source) as raw, unpacked(raw, name) as stream:
        found, read = Encoding(UTF_8), _table_reader(source, stream)
        if read is None:
            found = known_encoding(encoding) if encoding else encoding_of(stream)
            read = _reader(source, stream, found)
        if read is not jsonl_records and found.note and not encoding:
            notes.append(found.note)
        yield from read(stream, name, found, notes)


def _matching(source: str | Path) -> list[str]:
    """Return the files that a pattern such as `mails/*.csv` stands for, by name; none: it is no pattern."""
    text = str(source)
    if os.path.exists(text) or not glob.has_magic(text):
        return []
    found = sorted(file for file in glob.glob(text, recursive=True) if os.path.isfile(file))
    if not found:
        raise UserError(f"no file matches {text}; quote the pattern, and look at its folder")
    return found


@contextmanager
def _open(source: str | Path) -> Iterator[IO[bytes]]:
    """Yield a file that can be looked at before it is read: what flows is copied to a temporary one."""
    with _stream(source) as stream:
        if stream.seekable():
            yield stream
            return
        with TemporaryFile(prefix="firstline-") as copy:
            copyfileobj(stream, copy)
            copy.seek(0)
            yield cast("IO[bytes]", copy)


def _stream(source: str | Path) -> IO[bytes]:
    if str(source) == STDIN:
        return open(sys.stdin.fileno(), "rb", closefd=False)
    try:
        return open(source, "rb")
    except FileNotFoundError:
        raise UserError(f"input {source} does not exist; give a file, a folder of text files, or - for stdin") from None
    except OSError as error:
        raise UserError(f"input {source} cannot be read ({error.strerror}); check its permissions") from None


_Reader = Callable[[IO[bytes], str, Encoding, list[str]], Iterator[Record]]


def _reader(source: str | Path, stream: IO[bytes], encoding: Encoding) -> _Reader:
    """Choose a reader by the file's extension, else (and for `.json`) by its first character."""
    head = stream.read(4096)
    stream.seek(0)
    match Path(_without_packing(source)).suffix.lower():
        case ".csv" | ".tsv":
            return csv_records
        case ".jsonl" | ".ndjson":
            return jsonl_records
    text = head[encoding.mark :].decode(encoding.name, errors="ignore").lstrip("\ufeff \t\r\n")
    if text.splitlines()[:1] == ["{"]:
        raise UserError(
            f"{source} is one JSON object; expected an array of objects, or one object on every line; where the items "
            'stand in a field of it, take them out: `jq -c ".data[]" FILE > items.jsonl`'
        )
    return {"[": array_records, "{": jsonl_records}.get(text[:1], csv_records)


def _without_packing(source: str | Path) -> str:
    ending = next((ending for ending in PACKED_ENDINGS if str(source).lower().endswith(ending)), "")
    return str(source)[: len(str(source)) - len(ending)]


def _table_reader(source: str | Path, stream: IO[bytes]) -> _Reader | None:
    """Choose a reader for what is no text, by how it begins; None: it may be text."""
    head = stream.read(8)
    stream.seek(0)
    if kind := next((kind for mark, kind in _UNREADABLE.items() if head.startswith(mark)), None):
        raise UserError(f"{source} is {kind}, which is not read; save it as .xlsx, CSV (UTF-8) or JSONL")
    reader = next((reader for mark, reader in _TABLES.items() if head.startswith(mark)), None)
    if reader is None and (kind := _TABLE_NAMES.get(Path(_without_packing(source)).suffix.lower())):
        raise UserError(f"{source} is named as {kind} and is none by how it begins; it may be cut off: fetch it again")
    return reader


_TABLES: dict[bytes, _Reader] = {b"PAR1": parquet_records, b"ARROW1": arrow_records, b"PK\x03\x04": workbook_records}
#: Files whose names say that they are tables, which begin as none of these.
_TABLE_NAMES = {
    ".parquet": "a Parquet file",
    ".arrow": "an Arrow file",
    ".feather": "an Arrow file",
    ".xlsx": "an Excel workbook",
}
#: How files begin that people take for tables.
_UNREADABLE = {b"\xd0\xcf\x11\xe0": "an old Excel workbook (.xls)", b"%PDF": "a PDF"}


# Folders ----------------------------------------------------------------------------------------------------------


def _folder(folder: Path, name: str) -> Iterator[Record]:
    """Yield every file below the folder that is not hidden, in the order of their names."""
    files = sorted(_files(folder), key=lambda path: path.relative_to(folder).as_posix())
    if not files:
        raise UserError(f"folder {name} holds no files; put one text file per item into it")
    for path in files:
        # A name in no encoding is told by its bytes.
        yield _text_file(path, os.fsencode(path.relative_to(folder).as_posix()).decode(errors="backslashreplace"))


def _files(folder: Path) -> Iterator[Path]:
    for top, below, names in os.walk(folder, onerror=_unreadable_folder):
        below[:] = [part for part in below if not part.startswith(".")]
        yield from (Path(top) / part for part in names if not part.startswith("."))


def _unreadable_folder(error: OSError) -> None:
    raise UserError(f"folder {error.filename} cannot be read ({error.strerror}); check its permissions")


def _text_file(path: Path, name: str) -> Record:
    """Read one file; whatever is wrong with it is its own failure."""
    try:
        size = path.stat().st_size
        if size > MAX_ITEM_BYTES:
            return Record(name, {}, too_long(size), item_id=name)
        raw = path.read_bytes()
        found = encoding_of(BytesIO(raw))
        text = raw[found.mark :].decode(found.name)
    except OSError as error:
        return Record(name, {}, f"{name} cannot be read ({error.strerror})", item_id=name)
    except UnicodeDecodeError as error:
        return Record(name, {}, f"{name} is no text: byte 0x{raw[error.start]:02x} at {error.start}", item_id=name)
    return as_record(name, {"name": name, "text": text}, size=size)._replace(item_id=name)


# Ids --------------------------------------------------------------------------------------------------------------


def _identified(records: Iterator[Record], name: str, id_field: str | None) -> Iterator[InputItem]:
    """Give every record its id; the first usable record decides whether ids come from a field or from positions."""
    field = id_field or "id"
    head = _until_usable(records)
    named = head[-1].item_id is not None or _id(head[-1].fields.get(field)) is not None
    if id_field and not head[-1].error and not head[-1].item_id and field not in head[-1].fields:
        have = ", ".join(head[-1].fields) or "none"
        raise UserError(f"{name} has no field '{field}' to take ids from; its fields are: {have}")
    seen = _IdSet(name)
    for position, record in enumerate(map(Record.printable, chain(head, records)), 1):
        yield _item(record, field, seen) if named or id_field else _by_position(record, position)


def _until_usable(records: Iterator[Record]) -> list[Record]:
    """Return the records up to the first without an error."""
    head = []
    for record in records:
        head.append(record)
        if record.error is None:
            break
    return head


def _by_position(record: Record, position: int) -> InputItem:
    return InputItem(str(position), record.fields, record.error)


def _item(record: Record, field: str, seen: "_IdSet") -> InputItem:
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


class _IdSet:
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
