"""Tables as people have them, in and out, today and again tomorrow: files, workbooks, databases."""

import csv
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
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
pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
SCRIPT = """
models:
  small: {answer: from_schema}
  large: {answer: from_schema}
  reader: {answer: {kind: truth, accuracy: 1.0}, context_tokens: 4000}
truth: truth.jsonl
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
DECISIONS = [f"It was decided that item {n:03d} is closed." for n in range(20)]
READ = """
name: read
instructions: List the decisions that the minutes hold, each in the words of the minutes.
input: {text: {}}
output:
  type: object
  properties: {decisions: {type: array, items: {type: object, properties: {quote: {type: string}}, required: [quote]}}}
  required: [decisions]
"""
MINUTES = """
name: minutes
steps:
  - {name: parts, kind: tool, tool: split, options: {tokens: 3000, overlap: 100, model: openai/small}}
  - {name: read, skill: read, for_each: parts, inputs: {text: each.text}, at_most: 100}
  - name: all
    kind: tool
    tool: gather
    inputs: {answers: read, parts: parts}
    options: {how: merge, field: decisions, quote: quote}
output: all
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
    (home / "tiers" / "reader.yaml").write_text(
        re.sub("openai/[a-z]+", "openai/reader", PROFILE).replace("sim", "reader", 1)
    )
    (folder / "script.yaml").write_text(SCRIPT)
    said = [(one, [{"quote": one}]) for one in DECISIONS] + [("the weather", [])]
    truth = ({"contains": words, "text": json.dumps({"decisions": found})} for words, found in said)
    (folder / "truth.jsonl").write_text("\n".join(map(json.dumps, truth)))
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


def mails(*numbers: int, changed: int = 0) -> str:
    """A table of these mails, the first `changed` of them not as they were; their places say nothing."""
    rows = [f"m{n},mail {n}{' again' if place < changed else ''}" for place, n in enumerate(numbers)]
    return "\n".join(["id,text", *reversed(rows)])


def test_a_second_run_pays_for_what_changed_and_a_changed_skill_for_everything(house):
    table, skill = house.folder / "daily.csv", house.folder / "firstline" / "skills" / "sort.yaml"
    out = ("--input", "daily.csv", "--out", "daily.jsonl")

    def outputs() -> dict[str, Any]:
        lines = map(json.loads, (house.folder / "daily.jsonl").read_text().splitlines())
        return {line["item_id"]: line["output"] for line in lines}

    table.write_text(mails(*range(100)))
    assert house.paid(lambda: house.report(*out)) == 100
    first = outputs()

    table.write_text(mails(*range(100), changed=5))
    expected = json.loads(house("estimate", "sort", "--input", "daily.csv", "--since-last", "--json").out)
    assert expected["items"] == 5
    reports: list[dict[str, Any]] = []
    assert house.paid(lambda: reports.append(house.report(*out, "--since-last"))) == 5
    (second,) = reports
    assert (second["settled"], second["taken_over"]) == (100, 95)
    assert second["taken_over_usd"] == pytest.approx(second["cost_usd"] / 5 * 95, rel=0.05)
    assert {name: said for name, said in outputs().items() if int(name[1:]) >= 5} == {
        name: said for name, said in first.items() if int(name[1:]) >= 5
    }
    shown = house("report", second["job"]).out
    assert "95 answers taken over from earlier jobs saved $" in shown
    assert "5 items new, changed or no longer certified." in shown

    third = house.paid(lambda: reports.append(house.report(*out, "--since-last")))
    assert (third, reports[-1]["taken_over"], reports[-1]["settled"]) == (0, 100, 100)

    skill.write_text(SKILL.replace("what the mail is about", "what the writer of the mail wants"))
    try:
        assert house.paid(lambda: reports.append(house.report(*out, "--since-last"))) == 100
        assert reports[-1]["taken_over"] == 0
    finally:
        skill.write_text(SKILL)
    assert house.paid(lambda: house.report(*out, "--since-last")) == 0, "the earlier skill's answers still stand"


def test_failed_rows_are_asked_again_and_a_workflow_over_all_items_is_refused(house):
    (house.folder / "two.csv").write_text("id,text\na,fine one\nb,\n")
    report = house.report("--input", "two.csv")
    assert (report["settled"], report["failed"]) == (1, 1)
    (house.folder / "two.csv").write_text("id,text\na,fine one\nb,mended\n")
    assert house.paid(lambda: house.report("--input", "two.csv", "--since-last")) == 1
    (house.folder / "sum.yaml").write_text(
        "name: sum\nsteps:\n  - {name: label, skill: sort}\n"
        "  - {name: all, kind: synthesize, skill: synthesize, inputs: {parts: label}}\n"
    )
    done = house("run", "sum.yaml", "--input", "two.csv", "--since-last")
    assert (done.code, "steps that see all items together" in done.told) == (2, True)


@contextmanager
def watching(house: House) -> Iterator[None]:
    """`firstline run sort --watch inbox`, as somebody leaves it running and ends it with Ctrl-C."""
    command = ("run", "sort", "--watch", "inbox", "--since-last", "--out", "done/{name}.csv")
    with (house.folder / "watch.log").open("a") as log:
        argv = [sys.executable, "-m", "firstline.orchestrator.cli", *command]
        process = subprocess.Popen(argv, cwd=house.folder, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130


def arrived(file: Path, *, after_ns: int = 0) -> list[list[str]]:
    """Wait until results are written; return their rows."""
    until = time.monotonic() + 60
    while not (file.exists() and file.stat().st_mtime_ns > after_ns):
        assert time.monotonic() < until, f"{file} was not written"
        time.sleep(0.1)
    return list(csv.reader(file.open(newline="")))[1:]


@pytest.mark.soak
def test_files_that_arrive_are_run_once_whoever_watches_and_broken_ones_end_nothing(house):
    inbox, done = house.folder / "inbox", house.folder / "done"
    inbox.mkdir()
    done.mkdir()
    (inbox / "1-broken.csv").write_text("id,id\n1,2\n")
    (inbox / "2-good.csv").write_text("id,text\na,a mail that came in\nb,another mail that came in\n")

    def first() -> None:
        with watching(house):
            assert [row[0] for row in arrived(done / "2-good.csv")] == ["a", "b"]

    assert house.paid(first) == 2
    log = (house.folder / "watch.log").read_text()
    assert "1-broken.csv: row 1 names a column twice" in log
    assert "Traceback" not in log
    written = (done / "2-good.csv").stat().st_mtime_ns

    def second() -> None:
        with watching(house):
            (inbox / "3-late.csv").write_text("id,text\nc,a late mail\n")
            arrived(done / "3-late.csv")
            assert (done / "2-good.csv").stat().st_mtime_ns == written
            (inbox / "2-good.csv").write_text("id,text\na,a mail that came in\nb,another mail that is new\n")
            assert len(arrived(done / "2-good.csv", after_ns=written)) == 2

    assert house.paid(second) == 2


def test_a_text_of_400_kilobytes_is_read_in_parts_and_every_decision_has_its_place(house):
    """The model takes 4,000 tokens, and the text has a decision about every 20,000 characters, one at a seam."""
    talk = "They talked about the weather, and then about the budget of the next year. " * 270
    text = "\n\n".join(f"## Session {n}\n\n{talk[: 20_000 - 31 * n]}{one}" for n, one in enumerate(DECISIONS))
    assert len(text) > 390_000
    (house.folder / "firstline" / "skills" / "read.yaml").write_text(READ)
    (house.folder / "minutes.yaml").write_text(MINUTES)
    (house.folder / "minutes.jsonl").write_text(json.dumps({"id": "m", "text": text}))
    done = house("run", "minutes.yaml", "--input", "minutes.jsonl", "--profile", "reader", "--out", "found.jsonl")
    assert done.code == 0, done
    (line,) = map(json.loads, (house.folder / "found.jsonl").read_text().splitlines())
    found = line["output"]
    assert [one["quote"] for one in found["value"]] == DECISIONS
    assert [[text[place["start"] : place["end"]] for place in places] for places in found["spans"]] == [
        [one] for one in DECISIONS
    ]
