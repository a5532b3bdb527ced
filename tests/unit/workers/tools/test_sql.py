"""SQL only reads: one statement, within its rows and its time."""

import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from firstline.schemas.tool import ToolResult
from firstline.workers.tools.base import Place
from firstline.workers.tools.sql import Arguments, Options, call


@pytest.fixture
def place(tmp_path: Path) -> Place:
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("create table orders(id integer primary key, customer text, total real, seal blob)")
        connection.executemany(
            "insert into orders values (?, ?, ?, ?)", [(n, f"c{n % 3}", n * 1.5, b"\x01\x02") for n in range(1, 11)]
        )
    connection.close()
    return Place(base=tmp_path)


def ask(place: Place, asked: str, parameters: Any = (), **options: Any) -> ToolResult:
    given = Arguments(statement=asked, parameters=parameters if isinstance(parameters, dict) else list(parameters))
    return call(given, Options.model_validate({"url": "sqlite:///shop.db", **options}), place)


def rows(place: Place) -> Any:
    return ask(place, "select count(*), sum(total) from orders").value


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [("select id, seal from orders where id = ?", [2]), ("select id, seal from orders where id = :id", {"id": 2})],
    ids=["by-position", "by-name"],
)
def test_parameters_are_bound(place: Place, statement: str, parameters: Any) -> None:
    assert ask(place, statement, parameters).value == {"columns": ["id", "seal"], "rows": [[2, "0102"]]}


def test_a_parameter_is_never_sql(place: Place) -> None:
    answer: Any = ask(place, "select id from orders where customer = ?", ["c1' or 1=1 --"]).value
    assert answer["rows"] == []


@pytest.mark.parametrize(
    "statement",
    [
        "insert into orders(id) values (99)",
        "update orders set total = 0",
        "delete from orders",
        "drop table orders",
        "create table t(x)",
        "create temp table t(x)",
        "attach database '/tmp/firstline-attached.db' as other",
        "pragma query_only = off",
        "pragma journal_mode = wal",
        "vacuum into '/tmp/firstline-vacuum.db'",
        "begin",
        "with x as (select 1) delete from orders",
        "select load_extension('evil')",
        "select 1; drop table orders",
        "/* select */ replace into orders(id) values (1)",
    ],
)
def test_whatever_writes_is_refused_and_changes_nothing(place: Place, statement: str) -> None:
    before = rows(place)
    assert ask(place, statement).error
    assert rows(place) == before
    assert not Path("/tmp/firstline-vacuum.db").exists()
    assert not Path("/tmp/firstline-attached.db").exists()


def test_more_rows_than_allowed_are_cut_and_said_so(place: Place) -> None:
    result = ask(place, "select id from orders order by id", max_rows=3)
    assert result.value == {"columns": ["id"], "rows": [[1], [2], [3]]}
    assert result.truncated


@pytest.mark.parametrize(
    "statement",
    [
        "with recursive n(x) as (select 1 union all select x + 1 from n) select max(x) from n",
        "select count(*) from orders a, orders b, orders c, orders d, orders e, orders f, orders g, orders h, orders i",
    ],
    ids=["endless-recursion", "cross-join"],
)
def test_an_endless_statement_ends_in_time(place: Place, statement: str) -> None:
    started = time.monotonic()
    assert "took longer than 0.2 s" in str(ask(place, statement, timeout_s=0.2).error)
    assert time.monotonic() - started < 2


def test_a_giant_cell_is_refused(place: Place) -> None:
    assert "SQLite:" in str(ask(place, "select zeroblob(900000000)").error)


@pytest.mark.parametrize("statement", ["", "  ", "selec 1", "select * from nothing", "select ?"])
def test_a_wrong_statement_says_why(place: Place, statement: str) -> None:
    assert ask(place, statement).error


def test_a_missing_file_is_not_created(place: Place) -> None:
    assert "no SQLite file" in str(ask(place, "select 1", url="sqlite:///other.db").error)
    assert not (place.base / "other.db").exists()


def test_a_fixed_statement_takes_parameters_only(place: Place) -> None:
    fixed = "select total from orders where id = ?"
    assert ask(place, "", [2], statement=fixed).value == {"columns": ["total"], "rows": [[3.0]]}
    assert "fixed" in str(ask(place, "select 1", statement=fixed).error)
