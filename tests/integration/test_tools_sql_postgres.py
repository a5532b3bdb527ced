"""SQL only reads on a real PostgreSQL too, even for a role that may do everything."""

import getpass
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from firstline.schemas.tool import ToolResult
from firstline.workers.tools.base import Place
from firstline.workers.tools.sql import Arguments, Options, call

psycopg = pytest.importorskip("psycopg")

# PostgreSQL refuses to run as root.
USER = "nobody" if getpass.getuser() == "root" else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    if not shutil.which("initdb") or not shutil.which("pg_ctl"):
        pytest.skip("initdb and pg_ctl are not on the PATH")
    folder, port = Path(tempfile.mkdtemp()), _free_port()
    if USER:
        shutil.chown(folder, USER)

    def do(*command: str) -> None:
        subprocess.run(command, check=True, user=USER, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)

    data = str(folder / "data")
    do("initdb", "-D", data, "-A", "trust", "-U", "owner", "--no-sync")
    do("pg_ctl", "-D", data, "-o", f"-p {port} -h 127.0.0.1 -k {folder}", "-l", str(folder / "log"), "-w", "start")
    address = f"postgresql://owner@127.0.0.1:{port}/postgres"
    try:
        with psycopg.connect(address) as connection:
            connection.execute("create table orders as select id, id * 1.5 as total from generate_series(1, 10) id")
        yield address
    finally:
        do("pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def ask(url: str, statement: str, parameters: Any = (), **options: Any) -> ToolResult:
    given = Arguments(statement=statement, parameters=parameters if isinstance(parameters, dict) else list(parameters))
    return call(given, Options.model_validate({"url": url, **options}), Place())


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [("select id from orders where id = %s", [2]), ("select id from orders where id = %(id)s", {"id": 2})],
    ids=["by-position", "by-name"],
)
def test_parameters_are_bound(url: str, statement: str, parameters: Any) -> None:
    assert ask(url, statement, parameters).value == {"columns": ["id"], "rows": [[2]]}


def test_rows_are_cut_and_said_so(url: str) -> None:
    result = ask(url, "select id from orders order by id", max_rows=3)
    assert result.value == {"columns": ["id"], "rows": [[1], [2], [3]]}
    assert result.truncated


@pytest.mark.parametrize(
    "statement",
    [
        "delete from orders returning id",
        "with gone as (delete from orders returning id) select * from gone",
        "select 1; drop table orders",
        "select 1; commit; drop table orders",
        "copy (select 1) to program 'true'",
        "select set_config('transaction_read_only', 'off', false)",
    ],
)
def test_whatever_writes_is_refused_and_changes_nothing(url: str, statement: str) -> None:
    assert "PostgreSQL:" in str(ask(url, statement).error)
    assert ask(url, "select count(*) from orders").value == {"columns": ["count"], "rows": [[10]]}


def test_what_a_function_writes_all_the_same_is_rolled_back(url: str) -> None:
    ask(url, "select lo_create(0)")
    with psycopg.connect(url) as connection:
        assert connection.execute("select count(*) from pg_largeobject_metadata").fetchone() == (0,)


def test_a_slow_statement_ends_in_time(url: str) -> None:
    assert "took longer than 0.3 s" in str(ask(url, "select pg_sleep(30)", timeout_s=0.3).error)


def test_a_server_that_is_not_there_is_an_error_as_data() -> None:
    assert "PostgreSQL:" in str(ask(f"postgresql://owner@127.0.0.1:{_free_port()}/postgres", "select 1").error)
