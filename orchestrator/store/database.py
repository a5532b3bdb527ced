"""The database: one engine a process, short transactions, SQLite or PostgreSQL by URL."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import RLock
from typing import Any

import pydantic_core
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError, SQLAlchemyError, TimeoutError
from sqlalchemy.pool import NullPool, QueuePool

from firstline.orchestrator.store.types import json_text
from firstline.schemas.errors import InfrastructureError, UserError

#: Seconds that a writer waits for another one on SQLite.
BUSY_TIMEOUT_S = 30
#: What a database says -> how to mend it. Work waits meanwhile and is not lost.
_MENDS = {
    "disk is full": "free some space, work goes on by itself",
    "no space left": "free some space, work goes on by itself",
    "readonly": "make the file and its folder writable, work goes on by itself",
    "read-only": "make the database writable, work goes on by itself",
    "no such table": "its file was removed or replaced while in use; stop Firstline, restore the file, start again",
    "prepared statement": "a pooler shares its connections; add ?prepare_threshold=0 to FIRSTLINE_DATABASE_URL",
    "too many connections": "raise the role's or the server's limit of connections, work goes on by itself",
    "locked": "another program holds it for long; end that one, work goes on by itself",
}

#: How PostgreSQL's connections are kept alive where their URL does not say. The system notices a machine that does not
#: answer after 60 s at most, and a try to connect ends; a server that is there and silent: `postgres_peer`.
_KEPT_ALIVE = {
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    # Milliseconds that what was sent may stay without a sign that it came.
    "tcp_user_timeout": 60_000,
}


class Database:
    """Hands out connections for reading and for writing."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = _engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._writing = self.engine.execution_options(firstline_write=True)
        # SQLite has one writer. Who meets another one there sleeps for up to a tenth of a second and looks again.
        self._turn: AbstractContextManager[object] = RLock() if self.is_sqlite else nullcontext()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection in a read transaction."""
        with _readable_errors(self.url), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield a connection in a transaction that commits at the end, or rolls back on an exception."""
        with self._turn, _readable_errors(self.url), self._writing.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def log_after(tx: Connection, log: logging.Logger, level: int, name: str, extra: Mapping[str, object]) -> None:
    """Log an event when a transaction has committed; what is rolled back never happened."""
    if log.isEnabledFor(level):
        event.listen(tx, "commit", lambda _: log.log(level, name, extra=dict(extra)), once=True)


@contextmanager
def _readable_errors(url: str) -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, InternalError, TimeoutError) as error:
        where = make_url(url).render_as_string(hide_password=True)
        raise InfrastructureError(f"the database {where} did not answer as expected: {_said(error)}") from error


def _said(error: SQLAlchemyError) -> str:
    """Return what the database said, with how to mend it where that is known."""
    said = str(getattr(error, "orig", error)).strip()
    for words, mend in _MENDS.items():
        if words in said.lower():
            return f"{said}; {mend}"
    return said


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except Exception as error:
        raise UserError(
            "FIRSTLINE_DATABASE_URL: expected a URL such as sqlite:///firstline.db or "
            "postgresql://user:password@host/name; mend or remove it"
        ) from error
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(url, parsed.database)
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() != "postgresql":
        raise UserError(f"FIRSTLINE_DATABASE_URL: expected sqlite or postgresql, got '{parsed.drivername}'")
    parsed, prepared = _prepare_threshold(parsed)
    engine = create_engine(
        parsed,
        # Whatever the role's default: a judge's transactions lock what they change, and none has to be tried again.
        isolation_level="READ COMMITTED",
        json_serializer=json_text,
        json_deserializer=_load,
        # What an error quotes ends in logs and in Flower.
        hide_parameters=True,
        pool_size=8,
        max_overflow=16,
        pool_pre_ping=True,
        # A database of the encoding SQL_ASCII takes any bytes, and the driver would give back nothing but bytes.
        connect_args={"client_encoding": "utf8", **_kept_alive(parsed), **prepared},
    )
    # The driver is there where PostgreSQL is used.
    from firstline.orchestrator.store.postgres_peer import watch

    watch(engine)
    if not prepared:
        event.listen(engine, "connect", _prepare_nothing_behind_a_pooler)
    return engine


def _prepare_nothing_behind_a_pooler(connection: Any, _record: object) -> None:
    """Have a connection that others share (pgbouncer's) prepare no statements: the next one may not know them.

    Such a pooler tells its clients another process than the one that answers.
    """
    with connection.cursor() as cursor:
        (answering,) = cursor.execute("SELECT pg_backend_pid()").fetchone()
    connection.rollback()
    if answering != connection.info.backend_pid:
        connection.prepare_threshold = None


def _kept_alive(url: URL) -> dict[str, int]:
    return {name: value for name, value in _KEPT_ALIVE.items() if name not in url.query}


def _prepare_threshold(url: URL) -> tuple[URL, dict[str, int | None]]:
    """Take `?prepare_threshold=N` out of a URL: the driver wants a number; 0 or `none` means no prepared statements.

    A pooler that shares connections between transactions is known without it.
    """
    asked = url.query.get("prepare_threshold")
    if asked is None:
        return url, {}
    rest = url.difference_update_query(["prepare_threshold"])
    word = str(asked).strip().lower()
    if word in ("0", "none", ""):
        return rest, {"prepare_threshold": None}
    if not word.isdecimal():
        raise UserError(
            f"FIRSTLINE_DATABASE_URL: expected prepare_threshold as a whole number, or 0 for none, got '{asked}'"
        )
    return rest, {"prepare_threshold": int(word)}


def _sqlite(url: str, database: str | None) -> Engine:
    if database and database != ":memory:":
        Path(database).parent.mkdir(parents=True, exist_ok=True)
    pool = QueuePool if database and database != ":memory:" else NullPool
    engine = create_engine(
        url,
        json_serializer=json_text,
        json_deserializer=_load,
        hide_parameters=True,
        poolclass=pool,
        **({"pool_size": 8, "max_overflow": 16} if pool is QueuePool else {}),
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver's own BEGIN comes too late and is never IMMEDIATE: we send it ourselves.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_S * 1000}")
    cursor.execute("PRAGMA cache_size=-32000")
    # Each checkpoint waits for the disk; every 1,000 pages, the default, is several times a second under load.
    cursor.execute("PRAGMA wal_autocheckpoint=8000")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A read that later wants to write fails at once with "database is locked"; a writer queues from the start.
    writes = connection.get_execution_options().get("firstline_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _load(text: str | bytes) -> Any:
    return pydantic_core.from_json(text)
