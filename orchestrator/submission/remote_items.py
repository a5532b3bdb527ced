"""Items that are not on this machine's disk: a query's rows, and files by URL; copied here whole before any is used."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryDirectory
from urllib.parse import unquote_plus

from sqlalchemy import text

from firstline.orchestrator.store.own_database import is_database, opened, shown, split
from firstline.orchestrator.submission.table_items import as_json
from firstline.schemas.base import JsonObject
from firstline.schemas.errors import UserError

_ROWS_AT_ONCE = 500
#: A scheme of two letters or more: `C:` is a drive.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(::|://)")


def is_remote(source: str | Path) -> bool:
    """Return whether a source is a URL (a path of pathlib's is none)."""
    return isinstance(source, str) and _URL.match(source) is not None


def with_query(source: str | None, file: Path) -> str:
    """Return a database's URL with the query that a file holds."""
    if source is None or not is_database(source):
        raise UserError("--sql FILE: expected a database's URL with it, such as --input postgresql://host/name")
    try:
        return f"{source.partition('?query=')[0]}?query={file.read_text('utf-8')}"
    except OSError as error:
        raise UserError(f"--sql {file} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise UserError(f"--sql {file} is not UTF-8; save it as UTF-8") from None


def source_name(source: str) -> str:
    """Return a source as it is told to people: of a URL no password and no query."""
    return shown(source) if is_remote(source) and is_database(source) else source


@contextmanager
def fetched(url: str) -> Iterator[str]:
    """Yield the file, or the pattern of files, that a URL's items were copied to.

    UserError in one sentence where the source is not there or dies midway: nothing has begun by then.
    """
    with TemporaryDirectory(prefix="firstline-") as folder:
        if is_database(url):
            yield str(_rows(url, Path(folder)))
        else:
            yield _files(url, Path(folder))


# Databases --------------------------------------------------------------------------------------------------------


def _rows(source: str, folder: Path) -> Path:
    """Copy a query's rows to JSON lines, from a connection that can only read."""
    url, written = split(source, "query")
    if not (written or "").strip():
        raise UserError(
            f"{shown(source)}: expected a query at its end, such as {shown(source)}?query=SELECT id, body FROM mails, "
            "or --sql FILE"
        )
    query = str(written) if re.search(r"\s", str(written)) else unquote_plus(str(written))
    copy = folder / "query.jsonl"
    with opened(url, writes=False) as tx, copy.open("w", encoding="ascii") as file:
        # A colon in a query is no parameter's.
        found = tx.execution_options(stream_results=True, yield_per=_ROWS_AT_ONCE).execute(
            text(re.sub(":", r"\\:", query))
        )
        if not found.returns_rows:
            raise UserError(f"{shown(source)}: expected a query that returns rows, got '{query.strip()[:60]}'")
        for number, row in enumerate(found.mappings(), 1):
            file.write(f"{json.dumps(_fields(dict(row), number, source))}\n")
    return copy


def _fields(row: dict[str, object], number: int, source: str) -> JsonObject:
    try:
        return {name: as_json(value) for name, value in row.items()}
    except ValueError as error:
        raise UserError(f"{shown(source)}: row {number} holds {error}; leave the column out of the query") from None


# Files ------------------------------------------------------------------------------------------------------------


def _files(url: str, folder: Path) -> str:
    """Copy the file, or the files that a pattern stands for, here; return what reads them."""
    try:
        import fsspec
    except ImportError:
        raise UserError(f"{url} needs fsspec, which is not installed: pip install 'firstline[remote]'") from None
    try:
        files = fsspec.open_files(url, "rb")
        for number, file in enumerate(files):
            name = Path(file.path.rstrip("/")).name or "items"
            target = folder / (name if len(files) == 1 else f"{number:06d}-{name}")
            with file as stream, target.open("wb") as copy:
                copyfileobj(stream, copy, 1 << 20)
    except ImportError as error:
        raise UserError(f"{url} needs a library that is not installed: {error}") from None
    except Exception as error:  # each of fsspec's file systems has errors of its own
        # Some say the address alone, and the reason is what they arose from.
        cause = error.__cause__ if str(error) == url and error.__cause__ else error
        said = " ".join(str(cause).split())[:200] or type(cause).__name__
        raise UserError(f"{url} cannot be read ({said}); nothing has been begun") from None
    if not files:
        raise UserError(f"no file matches {url}")
    return str(folder / "*") if len(files) > 1 else str(next(folder.iterdir()))
