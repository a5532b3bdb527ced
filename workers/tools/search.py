"""Document search: BM25 over a folder of texts by SQLite FTS5."""

import hashlib
import os
import re
import secrets
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from pydantic import Field

from firstline.schemas.base import Frozen, Json
from firstline.schemas.tool import ToolResult
from firstline.workers.tools.base import Kind, Place, failed
from firstline.workers.tools.passages import Passage, split

#: Part of the index's key: raise it when passages or the index change their form.
_FORM = "1"
_TEXTS = frozenset({".txt", ".md", ".rst"})
_WORDS = 64


class Options(Frozen):
    """Which documents, and how much of them comes back."""

    folder: str
    top_k: int = Field(default=5, ge=1, le=50)
    #: Of all passages of one answer together.
    max_chars: int = Field(default=8000, ge=200, le=200_000)
    passage_chars: int = Field(default=1200, ge=200, le=20_000)
    #: Larger files are left out.
    max_file_bytes: int = Field(default=10_000_000, ge=1)
    max_files: int = Field(default=20_000, ge=1)


class Arguments(Frozen):
    """A question in plain words; no operators."""

    query: str = Field(max_length=10_000, description="words to look for, in any order")
    top_k: int | None = Field(default=None, ge=1, le=50, description="how many passages to return")


def call(arguments: Arguments, options: Options, place: Place) -> ToolResult:
    """Return the best passages, best first: id, title, text and score (higher is better).

    Ranking is Okapi BM25 (Robertson and Zaragoza 2009) as FTS5 computes it, words in titles counting double. The
    query's words are all quoted, so nothing in it is an operator.
    """
    words = list(dict.fromkeys(re.findall(r"\w+", arguments.query.casefold())))[:_WORDS]
    if not words:
        return failed("expected a query with at least one word or number")
    try:
        index = ensure_index(options, place)
    except OSError as error:
        return failed(f"cannot search {options.folder}: {error}")
    with closing(_open(index)) as connection:
        rows = connection.execute(
            "select id, title, text, -bm25(passages, 0, 2.0, 1.0) as score from passages where passages match ? "
            "order by score desc, rowid limit ?",
            (" OR ".join(f'"{word}"' for word in words), arguments.top_k or options.top_k),
        ).fetchall()
    return _fitted(rows, options.max_chars)


def find(ids: Iterable[str], options: Options, place: Place) -> dict[str, str]:
    """Return id -> text of those passages that exist: an answer's citations are checked with it."""
    wanted = sorted(set(ids))
    with closing(_open(ensure_index(options, place))) as connection:
        rows = (connection.execute("select id, text from passages where id = ?", (one,)).fetchone() for one in wanted)
        return {row[0]: row[1] for row in rows if row}


def ensure_index(options: Options, place: Place) -> Path:
    """Return the index of the folder as it is now, built when its content is new; OSError when there is no such folder.

    Its name holds a digest of every file's name and content, so it cannot be stale. It is built aside and moved into
    place: workers that build it at the same time do not disturb each other.
    """
    folder = place.path(options.folder)
    files = _files(folder, options)
    source = hashlib.sha256(f"{folder} {options.passage_chars}".encode()).hexdigest()[:12]
    index = place.cache.expanduser().resolve() / "search" / f"{source}-{_key(folder, files, options)}.sqlite"
    if not index.exists():
        index.parent.mkdir(parents=True, exist_ok=True)
        # Not named for the process: calls run in PID namespaces of their own, where all have the same number.
        aside = index.with_suffix(f".{secrets.token_hex(8)}")
        _build(aside, _passages(folder, files, options))
        aside.replace(index)
        _drop_older(index, source)
    return index


def _drop_older(index: Path, source: str) -> None:
    for older in index.parent.glob(f"{source}-*.sqlite"):
        if older != index:
            older.unlink(missing_ok=True)


def _files(folder: Path, options: Options) -> list[Path]:
    if not folder.is_dir():
        raise NotADirectoryError(f"expected a folder, there is none at {folder}")
    texts = (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in _TEXTS and path.is_file())
    found = [path for path in texts if path.stat().st_size <= options.max_file_bytes]
    if not found:
        raise FileNotFoundError(f"there is no .txt, .md or .rst file in {folder}")
    if len(found) > options.max_files:
        raise OSError(f"{folder} has {len(found)} texts, more than max_files = {options.max_files}")
    return found


def _key(folder: Path, files: list[Path], options: Options) -> str:
    content = hashlib.sha256(f"{_FORM} {options.passage_chars}".encode())
    for path in files:
        content.update(f"\0{path.relative_to(folder)}\0".encode(errors="surrogateescape"))
        content.update(hashlib.sha256(path.read_bytes()).digest())
    return content.hexdigest()[:24]


def _passages(folder: Path, files: list[Path], options: Options) -> Iterator[Passage]:
    stems = Counter(path.with_suffix("") for path in files)
    for path in files:
        stem = path.with_suffix("")
        name = (stem if stems[stem] == 1 else path).relative_to(folder)
        # One in no encoding is told by its bytes.
        shown = os.fsencode(name.as_posix()).decode(errors="backslashreplace")
        yield from split(shown, path.read_text(encoding="utf-8", errors="replace"), chars=options.passage_chars)


def _build(path: Path, passages: Iterable[Passage]) -> None:
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "create virtual table passages using fts5(id unindexed, title, text, tokenize='porter unicode61')"
        )
        connection.executemany("insert into passages(id, title, text) values (?, ?, ?)", passages)


def _open(index: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{index.as_uri()}?mode=ro", uri=True)


def _fitted(rows: list[tuple[str, str, str, float]], max_chars: int) -> ToolResult:
    """Return as many of the passages as fit; the last one may be cut."""
    left = max_chars
    fitted: list[Json] = []
    for id_, title, text, score in rows:
        if left <= 0:
            break
        fitted.append({"id": id_, "title": title, "text": text[:left], "score": round(score, 3)})
        left -= len(text)
    return ToolResult(value=fitted, truncated=left < 0 or len(fitted) < len(rows))


SEARCH = Kind(
    name="search",
    description="Search the documents by words; returns passages with ids to cite.",
    arguments=Arguments,
    options=Options,
    call=call,
)
