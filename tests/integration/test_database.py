"""A database in trouble: a sentence, nothing lost, and work goes on once it is mended."""

import os
import re
import secrets
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from firstline.orchestrator import cli
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.engine.lifecycle import settle_trail
from firstline.orchestrator.service import process
from firstline.orchestrator.store import budgets
from firstline.orchestrator.store.database import Database
from firstline.orchestrator.store.migrate import migrate
from firstline.schemas.errors import InfrastructureError, UserError
from tests.integration.jobs import answered, begun, flying, money, state
from tests.servers import Missing, Postgres, pgbouncer

NEWER = r"the database is at version 9999, which is newer than this code knows \(newest: \w+\); update Firstline"


def test_a_database_newer_than_the_code_is_refused(engine: Context) -> None:
    with engine.db.writing() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(UserError, match=NEWER):
        migrate(engine.db)


@pytest.mark.parametrize(
    "begin",
    [
        pytest.param(lambda: cli.main(["migrate"]), id="migrate"),
        pytest.param(lambda: cli.main(["jobs"]), id="a producer"),
        pytest.param(lambda: process.main([]), id="an orchestrator"),
    ],
)
def test_whatever_begins_on_a_newer_database_says_so_and_exits_with_2(engine: Context, capsys, begin) -> None:
    with engine.db.writing() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert begin() == 2
    assert re.fullmatch(f"{NEWER}.*\n", capsys.readouterr().err)


def test_a_full_disk_is_a_sentence_and_the_same_trail_is_judged_once_there_is_space(engine: Context) -> None:
    if not engine.db.is_sqlite:
        pytest.skip("only SQLite can be told that its disk is full")
    job = begun(engine, 1)
    trail = answered(flying(engine, job)[0])
    engine.db.close()
    with engine.db.reading() as tx:
        pages = tx.exec_driver_sql("PRAGMA page_count").scalar()
    with pytest.raises(InfrastructureError, match=r"disk is full; free some space, work goes on by itself"):
        _fill(engine.db, int(pages or 0))
    settle_trail(engine, trail)
    assert state(engine, job) == "done"
    assert money(engine, job)[0] == 1


def _fill(db: Database, pages: int) -> None:
    """Write beyond the pages that the file may have: what SQLite says of a full disk."""
    with db.writing() as tx:
        tx.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        try:
            tx.exec_driver_sql("CREATE TABLE filler AS SELECT randomblob(10000000) AS bytes")
        finally:
            tx.exec_driver_sql("PRAGMA max_page_count = 4294967294")


def test_a_read_only_database_is_a_sentence(engine: Context) -> None:
    with pytest.raises(InfrastructureError, match=r"make the .* writable, work goes on by itself"):
        _write_read_only(engine.db)


def _write_read_only(db: Database) -> None:
    with db.reading() as tx:
        tx.exec_driver_sql("PRAGMA query_only = ON" if db.is_sqlite else "SET TRANSACTION READ ONLY")
        try:
            tx.execute(text("DELETE FROM job"))
        finally:
            if db.is_sqlite:
                tx.exec_driver_sql("PRAGMA query_only = OFF")


def test_a_database_that_was_removed_while_in_use_is_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "firstline.db"
    db = Database(f"sqlite:///{file}")
    migrate(db)
    db.close()
    os.remove(file)
    sqlite3.connect(file).close()
    with pytest.raises(InfrastructureError, match="removed or replaced while in use"), db.reading() as tx:
        tx.execute(text("SELECT * FROM job"))


def test_a_server_that_is_not_there_is_a_sentence() -> None:
    db = Database("postgresql://nobody@127.0.0.1:1/nothing")
    with (
        pytest.raises(InfrastructureError, match=r"the database postgresql.*/nothing did not answer"),
        db.reading(),
    ):
        pass


def test_a_database_that_cannot_hold_all_texts_is_refused(postgres: Postgres) -> None:
    database = Database(postgres.new_database(f"t{secrets.token_hex(6)}", how=_encoded("LATIN1")))
    with pytest.raises(UserError, match=r"has the encoding LATIN1, .* expected UTF8: createdb --encoding UTF8"):
        migrate(database)
    database.close()


def test_a_database_without_an_encoding_of_its_own_keeps_what_it_is_given(postgres: Postgres) -> None:
    database = Database(postgres.new_database(f"t{secrets.token_hex(6)}", how=_encoded("SQL_ASCII")))
    migrate(database)
    with database.writing() as tx:
        budgets.put(tx, tenant="Käse ✓", total_usd=3.0)
    with database.reading() as tx:
        (row,) = budgets.of(tx, tenants=["Käse ✓"])
    assert row["tenant"] == "Käse ✓"
    database.close()


def _encoded(encoding: str) -> str:
    return f"TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'"


@pytest.mark.parametrize("query", ["", "?prepare_threshold=0", "?prepare_threshold=none", "?prepare_threshold=3"])
def test_prepared_statements_are_set_by_the_url(postgres: Postgres, query: str) -> None:
    database = Database(postgres.new_database(f"t{secrets.token_hex(6)}") + query)
    with database.writing() as tx:
        for _ in range(12):
            tx.execute(text("SELECT 1"))
        prepared = tx.scalar(text("SELECT count(*) FROM pg_prepared_statements"))
    assert (prepared == 0) is (query in ("?prepare_threshold=0", "?prepare_threshold=none"))
    database.close()


def test_behind_a_pooler_that_shares_connections_nothing_is_prepared(postgres: Postgres) -> None:
    name = postgres.new_database(f"t{secrets.token_hex(6)}").rpartition("/")[2]
    try:
        with pgbouncer(postgres) as url:
            _use_by_turns(Database(f"{url}/{name}"), Database(f"{url}/{name}"))
    except Missing as missing:
        pytest.skip(f"not installed: {missing}")


def _use_by_turns(*databases: Database) -> None:
    for turn in range(12):
        for database in databases:
            with database.writing() as tx:
                assert tx.scalar(text("SELECT :n + 1"), {"n": turn}) == turn + 1
                assert tx.scalar(text("SELECT count(*) FROM pg_prepared_statements")) == 0
    for database in databases:
        database.close()


def test_a_threshold_that_is_no_number_is_a_sentence() -> None:
    with pytest.raises(UserError, match="expected prepare_threshold as a whole number, or 0 for none, got 'often'"):
        Database("postgresql://a@127.0.0.1/b?prepare_threshold=often")


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("SET default_transaction_read_only = on", "is read-only for '.*'; name the primary server"),
        ("CONNECTION LIMIT 3", "may have 3 connections"),
    ],
)
def test_a_role_that_cannot_work_is_told_so_at_the_start(postgres: Postgres, setting: str, sentence: str) -> None:
    url = make_url(postgres.new_database(f"t{secrets.token_hex(6)}"))
    role = f"r{secrets.token_hex(4)}"
    owner = Database(url.render_as_string(hide_password=False))
    with owner.writing() as tx:
        tx.exec_driver_sql(f"CREATE ROLE {role} LOGIN SUPERUSER")
        tx.exec_driver_sql(f"ALTER ROLE {role} {setting}")
    owner.close()
    database = Database(url.set(username=role).render_as_string(hide_password=False))
    with pytest.raises(UserError, match=sentence):
        migrate(database)
    database.close()


def test_a_role_whose_transactions_are_serializable_by_default_needs_no_second_try(postgres: Postgres) -> None:
    url = make_url(postgres.new_database(f"t{secrets.token_hex(6)}"))
    database = Database(
        url.update_query_dict({"options": "-c default_transaction_isolation=serializable"}).render_as_string(
            hide_password=False
        )
    )
    with database.writing() as tx:
        assert tx.scalar(text("SHOW transaction_isolation")) == "read committed"
    database.close()
