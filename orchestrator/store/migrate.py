"""Brings a database to the code's version with Alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

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
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    scripts = ScriptDirectory.from_config(config)
    with database.writing() as connection:
        if not database.is_sqlite:
            _refuse_encoding(connection)
            _refuse_role(connection)
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        current = MigrationContext.configure(connection).get_current_revision()
        known = {script.revision for script in scripts.walk_revisions()}
        if current is not None and current not in known:
            raise UserError(
                f"the database is at version {current}, which is newer than this code knows "
                f"(newest: {scripts.get_current_head()}); update Firstline, or use another database"
            )
        if current == scripts.get_current_head():
            return
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
