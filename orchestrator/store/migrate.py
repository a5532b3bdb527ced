"""Brings a database to the code's version with Alembic."""

import re
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from firstline.orchestrator.store.database import Database
from firstline.schemas.errors import UserError

_FOLDER = Path(__file__).parent / "migrations"
#: Any number, the same for all: PostgreSQL's advisory lock under which one process migrates.
_LOCK = 7_251_938
#: Connections that an orchestrator and a producer have at the same time under load.
MIN_CONNECTIONS = 20
#: Encodings that hold whatever a model says; SQL_ASCII keeps any bytes.
_ENCODINGS = ("UTF8", "SQL_ASCII")


def migrate(database: Database) -> None:
    """Upgrade the schema to the newest version; UserError where the database is newer, or cannot hold all texts."""
    known = _versions()
    with database.writing() as connection:
        if not database.is_sqlite:
            _refuse_encoding(connection)
            _refuse_role(connection)
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        current = _current(connection)
        if current is not None and current not in known:
            raise UserError(
                f"the database is at version {current}, which is newer than this code knows "
                f"(newest: {known[-1]}); update Firstline, or use another database"
            )
        if current != known[-1]:
            _upgrade(connection)


def _versions() -> list[str]:
    """Return the versions that this code knows, in order."""
    files = sorted((_FOLDER / "versions").glob("[0-9]*.py"))
    return [re.search(r'^revision = "(.+)"', file.read_text("utf-8"), re.MULTILINE)[1] for file in files]  # type: ignore[index] # each has one


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return version


def _upgrade(connection: Connection) -> None:
    # Loaded where there is something to do: a command that is short is to be quick.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _refuse_role(connection: Connection) -> None:
    """Say at the start what every message would fail of."""
    name = connection.scalar(text("SELECT current_user"))
    if connection.scalar(text("SHOW transaction_read_only")) == "on":
        raise UserError(
            f"the database is read-only for '{name}'; name the primary server in FIRSTLINE_DATABASE_URL, or "
            f"ALTER ROLE {name} SET default_transaction_read_only = off"
        )
    limit = connection.scalar(text("SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user"))
    if limit is not None and 0 <= limit < MIN_CONNECTIONS:
        raise UserError(
            f"the role '{name}' may have {limit} connections, and Firstline's processes need {MIN_CONNECTIONS} at "
            f"least; ALTER ROLE {name} CONNECTION LIMIT 100"
        )


def _refuse_encoding(connection: Connection) -> None:
    encoding = connection.scalar(text("SHOW server_encoding"))
    if encoding not in _ENCODINGS:
        raise UserError(
            f"the database has the encoding {encoding}, which cannot hold all texts; expected UTF8: "
            "createdb --encoding UTF8 --template template0 NAME"
        )
