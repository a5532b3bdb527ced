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


def _refuse_encoding(connection: Connection) -> None:
    encoding = connection.scalar(text("SHOW server_encoding"))
    if encoding not in _ENCODINGS:
        raise UserError(
            f"the database has the encoding {encoding}, which cannot hold all texts; expected UTF8: "
            "createdb --encoding UTF8 --template template0 NAME"
        )
