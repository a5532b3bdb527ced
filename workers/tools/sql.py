"""SQL on a read-only connection: one statement, its parameters, and limits on rows, cells and time."""

import sqlite3
import time
from contextlib import closing
from itertools import islice
from typing import Any

from pydantic import Field

from firstline.schemas.base import Frozen, Json
from firstline.schemas.tool import ToolResult
from firstline.workers.rules.json_text import as_json
from firstline.workers.tools.base import Kind, Place, failed

_ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
_REFUSED_FUNCTIONS = frozenset({"load_extension", "fts3_tokenizer", "readfile", "writefile", "edit"})
_CELL_BYTES = 1_000_000


class Options(Frozen):
    """Which database, and how much of it one answer may hold."""

    #: `sqlite:///path` (or a bare path to a SQLite file), or `postgresql://user:password@host/database`.
    url: str
    max_rows: int = Field(default=100, ge=1, le=10_000)
    timeout_s: float = Field(default=10.0, gt=0, le=600)
    #: A fixed statement: the caller then gives parameters only.
    statement: str | None = None


class Arguments(Frozen):
    """One statement, and values for its placeholders."""

    statement: str = Field(default="", max_length=20_000, description="one SELECT; ? or :name stand for parameters")
    parameters: list[Json] | dict[str, Json] = Field(default_factory=list)


def call(arguments: Arguments, options: Options, place: Place) -> ToolResult:
    """Return `{columns, rows}`, `truncated` when there were more rows than `max_rows`.

    SQLite is opened with `mode=ro` and an authorizer that lets only reads through; PostgreSQL runs the statement as the
    body of a cursor (which only a query can be) in a read-only transaction with a statement timeout. The role in the
    URL should be allowed no more than it needs all the same.
    """
    if options.statement and arguments.statement:
        return failed("the statement of this tool is fixed; give parameters only")
    statement = options.statement or arguments.statement
    if not statement.strip():
        return failed("expected a SELECT statement, got nothing")
    if options.url.startswith(("postgresql://", "postgres://")):
        return _postgres(statement, arguments.parameters, options)
    return _sqlite(statement, arguments.parameters, options, place)


def _sqlite(statement: str, parameters: Any, options: Options, place: Place) -> ToolResult:
    path = place.path(options.url.removeprefix("sqlite:///"))
    if not path.is_file():
        return failed(f"there is no SQLite file at {path}")
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            _restrict(connection, time.monotonic() + options.timeout_s)
            cursor = connection.execute(statement, parameters)
            return _table(cursor, options.max_rows)
    except sqlite3.OperationalError as error:
        slow = "interrupted" in str(error)
        return failed(f"the statement took longer than {options.timeout_s:g} s" if slow else f"SQLite: {error}")
    # Several statements in one are a Warning in Python 3.11 and an Error from 3.12 on.
    except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
        read_only = "not authorized" in str(error) or "prohibited" in str(error)
        return failed("only one reading statement is allowed here" if read_only else f"SQLite: {error}")


def _restrict(connection: sqlite3.Connection, deadline: float) -> None:
    connection.execute("pragma query_only = on")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _CELL_BYTES)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.set_progress_handler(lambda: int(time.monotonic() > deadline), 1000)
    connection.set_authorizer(_authorize)


def _authorize(action: int, _: str | None, name: str | None, *__: object) -> int:
    is_read = action in _ALLOWED and not (action == sqlite3.SQLITE_FUNCTION and name in _REFUSED_FUNCTIONS)
    return sqlite3.SQLITE_OK if is_read else sqlite3.SQLITE_DENY


def _postgres(statement: str, parameters: Any, options: Options) -> ToolResult:
    try:
        import psycopg
        from psycopg.abc import Query
    except ImportError:
        return failed('PostgreSQL needs the extra "postgres": pip install "firstline[postgres]"')

    query: Query = statement.encode()
    timeout_ms = max(1, int(options.timeout_s * 1000))
    settings = f"-c default_transaction_read_only=on -c statement_timeout={timeout_ms} -c lock_timeout={timeout_ms}"
    wait_s = max(2, int(options.timeout_s))
    try:
        with psycopg.connect(options.url, options=settings, connect_timeout=wait_s) as connection:
            connection.read_only = True
            with connection.cursor("firstline") as cursor:
                cursor.itersize = min(options.max_rows + 1, 1000)
                cursor.execute(query, parameters or None)
                table = _table(cursor, options.max_rows)
            # A function may write even here (lo_create before PostgreSQL 16): nothing of it stays.
            connection.rollback()
            return table
    except psycopg.errors.QueryCanceled:
        return failed(f"the statement took longer than {options.timeout_s:g} s")
    except psycopg.Error as error:
        return failed(f"PostgreSQL: {error}", transient=isinstance(error, psycopg.OperationalError))


def _table(cursor: Any, max_rows: int) -> ToolResult:
    rows = list(islice(cursor, max_rows + 1))
    columns = [column[0] for column in cursor.description or ()]
    cells: list[Json] = [[_cell(value) for value in row] for row in rows[:max_rows]]
    return ToolResult(value={"columns": columns, "rows": cells}, truncated=len(rows) > max_rows)


def _cell(value: object) -> Json:
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    return as_json(value)


SQL = Kind(
    name="sql",
    description="Ask a database by one SELECT statement.",
    arguments=Arguments,
    options=Options,
    call=call,
)
