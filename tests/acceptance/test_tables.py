"""Tables as people have them, in and out, today and again tomorrow: files, workbooks, databases."""

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pytest
import sqlalchemy
from pyarrow import parquet

from firstline.orchestrator import api
from firstline.workers.simulator.running import running as simulating
from firstline.workers.simulator.script import load_script
from tests.acceptance.commands import Printed, processes, serve_from, typed
from tests.servers import Missing, Postgres, postgresql

#: A busy machine takes minutes for what an idle one does in seconds.
pytestmark = pytest.mark.timeout(300)
SCRIPT = """
models:
  small: {answer: from_schema}
  large: {answer: from_schema}
"""
PROFILE = """
name: sim
tiers:
  - name: cheap
    models: [{name: openai/small, api_base: service:sim, price: {input: 1, output: 2}}]
  - name: frontier
    models: [{name: openai/large, api_base: service:sim, price: {input: 5, output: 10}}]
services: [{name: sim, kind: simulator, source: ../../script.yaml}]
"""
SKILL = """
name: sort
version: 1
instructions: Say what the mail is about.
input: {text: {}}
output:
  type: object
  properties: {label: {enum: [refund, delivery]}, urgent: {type: boolean}}
  required: [label, urgent]
  additionalProperties: false
"""
ANSWER = ["label", "urgent", "item_id", "status", "tier", "confidence", "cost_usd", "reason"]


@dataclass
class House:
    """A folder with a skill and a ladder, and processes that work on it."""

    folder: Path

    def __call__(self, *arguments: str) -> Printed:
        return typed(self.folder, *arguments)

    def report(self, *arguments: str) -> dict[str, Any]:
        """Type a run that must come to its end; return its report."""
        done = self("run", "sort", *arguments, "--json")
        assert done.code == 0, done
        return dict(json.loads(done.out))

    def paid(self, during: Callable[[], object]) -> int:
        """Return how many calls the simulator's own log has more after something was done."""
        log = self.folder / "paid.jsonl"
        before = len(log.read_text().splitlines())
        during()
        return len(log.read_text().splitlines()) - before


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("tables")
    home = folder / "firstline"
    for name, text in (("skills/sort", SKILL), ("tiers/sim", PROFILE)):
        (home / f"{name}.yaml").parent.mkdir(parents=True, exist_ok=True)
        (home / f"{name}.yaml").write_text(text)
    (folder / "script.yaml").write_text(SCRIPT)
    (folder / "paid.jsonl").touch()
    with ExitStack() as stack:
        url = stack.enter_context(simulating(load_script(folder / "script.yaml"), log=folder / "paid.jsonl"))
        serve_from(folder, url)
        stack.enter_context(processes(folder, "cheap", "frontier", "tools", profile="sim"))
        yield House(folder)


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    try:
        with postgresql() as server:
            yield server
    except Missing as missing:
        pytest.skip(f"not installed: {missing}")


def test_parquet_in_and_a_flat_csv_out(house):
    rows = [{"id": f"p{n}", "text": f"=mail {n}", "tags": ["a", "b"]} for n in range(8)]
    parquet.write_table(pa.Table.from_pylist(rows), house.folder / "in.parquet")
    house.report("--input", "in.parquet", "--out", "out.csv")
    header, *found = csv.reader((house.folder / "out.csv").open(newline=""))
    assert header == ["id", "text", "tags", *ANSWER]
    assert [row[:3] for row in found] == [[f"p{n}", f"'=mail {n}", '["a", "b"]'] for n in range(8)]
    assert {row[3] for row in found} <= {"refund", "delivery"}
    assert {tuple(row[6:8]) for row in found} == {("settled", "cheap")}
    assert all(float(row[9]) > 0 for row in found)


def test_a_workbook_in_and_out_with_one_row_that_cannot_be_read(house):
    book = openpyxl.Workbook()
    for row in (["region", "text"], ["north", "mail a"], [None, "mail b"], ["south", "=A2"]):
        book.active.append(row)
    book.active.merge_cells("A2:A3")
    book.save(house.folder / "in.xlsx")
    house.report("--input", "in.xlsx", "--out", "out.xlsx")
    header, *rows = openpyxl.load_workbook(house.folder / "out.xlsx").active.iter_rows(values_only=True)
    assert list(header) == ["region", "text", *ANSWER]
    assert [row[:2] for row in rows] == [("north", "mail a"), ("north", "mail b"), (None, None)]
    assert (rows[2][5], "'text' is a formula that was never calculated" in rows[2][-1]) == ("failed", True)


def test_a_query_in_and_a_table_out_whose_rows_a_second_run_renews(house, server):
    url = server.new_database("shop").replace("+psycopg", "")
    with sqlalchemy.create_engine(url.replace("postgresql", "postgresql+psycopg")).begin() as tx:
        tx.exec_driver_sql("create table mails as select n as id, 'body ' || n as body from generate_series(1, 30) n")
    (house.folder / "mails.sql").write_text("select id, body as text from mails order by id limit 20")
    for _ in range(2):
        house.report("--input", url, "--sql", "mails.sql", "--out", f"{url}?table=answers")
    with sqlalchemy.create_engine(url.replace("postgresql", "postgresql+psycopg")).connect() as db:
        rows = db.exec_driver_sql("select id, text, label, status, cost_usd from answers order by id").all()
    assert [(row.id, row.text, row.status) for row in rows] == [(n, f"body {n}", "settled") for n in range(1, 21)]
    assert {row.label for row in rows} <= {"refund", "delivery"}

    before, log = len(api.jobs(1000)), len((house.folder / "paid.jsonl").read_text())
    dying = "select n as id, 'x' || (1 / (15000 - n)) as text from generate_series(1, 20000) n"
    done = house("run", "sort", "--input", f"{url}?query={dying}")
    assert (done.code, done.told.count("\n")) == (2, 1)
    assert "did not answer as expected: division by zero" in done.told
    assert (len(api.jobs(1000)), len((house.folder / "paid.jsonl").read_text())) == (before, log)
