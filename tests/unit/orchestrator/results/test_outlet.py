"""Results beside their inputs, in every kind of table; whole or not at all."""

import csv
import json
import sqlite3

import openpyxl
import pytest
from pyarrow import parquet

from firstline.orchestrator.results.outlet import Form, Shape, check_writable, shown_out, write_results
from firstline.orchestrator.results.results_file import CsvStyle
from firstline.schemas.errors import UserError
from firstline.schemas.job import ItemResult, ItemState


def settled(item_id, output, **more):
    return ItemResult(item_id=item_id, status=ItemState.SETTLED, output=output, tier="cheap", cost_usd=0.5, **more)


RESULTS = [
    (
        {"id": "a", "text": "=1+1", "tier": "gold"},
        settled("a", {"label": "x", "score": 1, "tags": ["p"]}, confidence=0.75),
    ),
    ({"id": "b", "text": "two", "Label": 7}, settled("b", {"label": "y", "score": 0.5, "sure": True})),
    ({}, ItemResult(item_id="(row 3)", status=ItemState.FAILED, reason="row 3 has 1 field, expected 3")),
]
#: A name that stands twice gets its group before it, in large letters or small.
COLUMNS = [
    *("id", "text", "tier", "Label", "output.label", "score", "tags", "sure"),
    *("item_id", "status", "result.tier", "confidence", "cost_usd", "reason"),
]
ROWS = [
    ["a", "=1+1", "gold", None, "x", 1, ["p"], None, "a", "settled", "cheap", 0.75, 0.5, None],
    ["b", "two", None, 7, "y", 0.5, None, True, "b", "settled", "cheap", None, 0.5, None],
    [*[None] * 8, "(row 3)", "failed", None, None, None, "row 3 has 1 field, expected 3"],
]


def with_json(rows):
    return [[json.dumps(cell) if isinstance(cell, list) else cell for cell in row] for row in rows]


def test_a_flat_csv_has_the_inputs_columns_then_the_outputs_then_what_it_is_worth(tmp_path):
    assert write_results(RESULTS, str(tmp_path / "o.csv")) == 3
    header, *rows = csv.reader((tmp_path / "o.csv").open(newline=""))
    assert header == COLUMNS
    assert rows[0][1] == "'=1+1"
    assert rows[1][:8] == ["b", "two", "", "7", "y", "0.5", "", "True"]
    write_results(RESULTS, str(tmp_path / "raw.csv"), Form(style=CsvStyle(raw=True, bom=True)))
    assert (tmp_path / "raw.csv").read_text("utf-8").startswith("\ufeffid,text,")
    assert list(csv.reader((tmp_path / "raw.csv").open(newline="")))[1][1] == "=1+1"


def test_parquet_columns_have_types(tmp_path):
    write_results(RESULTS, str(tmp_path / "o.parquet"))
    table = parquet.read_table(tmp_path / "o.parquet")
    assert table.column_names == COLUMNS
    assert [list(row.values()) for row in table.to_pylist()] == with_json(ROWS)
    assert {name: str(table.schema.field(name).type) for name in ("Label", "score", "sure", "tags")} == {
        "Label": "int64",
        "score": "double",
        "sure": "bool",
        "tags": "large_string",
    }


@pytest.mark.parametrize(("raw", "text"), [(False, "'=1+1"), (True, "=1+1")])
def test_a_workbook_runs_no_cell(tmp_path, raw, text):
    write_results(RESULTS, str(tmp_path / "o.xlsx"), Form(style=CsvStyle(raw=raw)))
    sheet = openpyxl.load_workbook(tmp_path / "o.xlsx").active
    header, *rows = sheet.iter_rows()
    assert [cell.value for cell in header] == COLUMNS
    assert (rows[0][1].value, rows[0][1].data_type) == (text, "s")
    assert [cell.value for cell in rows[1]] == with_json(ROWS)[1]


def test_flat_json_lines_keep_lists_and_nested_ones_are_the_result_alone(tmp_path):
    write_results(RESULTS, str(tmp_path / "f.jsonl"), Form(Shape.FLAT))
    lines = [json.loads(line) for line in (tmp_path / "f.jsonl").read_text().splitlines()]
    assert [list(line.values()) for line in lines] == ROWS
    write_results(RESULTS, str(tmp_path / "n.jsonl"))
    nested = [ItemResult.model_validate_json(line) for line in (tmp_path / "n.jsonl").read_text().splitlines()]
    assert nested == [result for _, result in RESULTS]


def rows_of(file, table="answers"):
    return sqlite3.connect(file).execute(f"select * from {table}").fetchall()


def test_a_databases_table_is_made_and_a_second_run_puts_rows_over_their_own(tmp_path):
    out = f"sqlite:///{tmp_path / 'o.db'}?table=answers"
    check_writable(out)
    write_results(RESULTS, out)
    assert [list(row) for row in rows_of(tmp_path / "o.db")] == with_json(ROWS)
    changed = ({**RESULTS[0][0], "Label": 8}, settled("a", {"label": "new", "score": 2, "tags": []}))
    write_results([changed], out)
    rows = {row[8]: row[4] for row in rows_of(tmp_path / "o.db")}
    assert rows == {"a": "new", "b": "y", "(row 3)": None}


def test_a_column_of_whole_numbers_rounds_no_others(tmp_path):
    out = f"sqlite:///{tmp_path / 'o.db'}?table=answers"
    write_results([({}, settled("a", {"score": 1}))], out)
    with pytest.raises(UserError, match="'score' of the table answers holds whole numbers, and there are others now"):
        write_results([({}, settled("b", {"score": 0.5}))], out)
    assert len(rows_of(tmp_path / "o.db")) == 1


def test_a_table_that_lacks_a_column_stays_as_it_was(tmp_path):
    out = f"sqlite:///{tmp_path / 'o.db'}?table=answers"
    write_results(RESULTS, out)
    before = rows_of(tmp_path / "o.db")
    with pytest.raises(UserError, match="the table answers has no column other; add what is missing"):
        write_results([({"id": "c"}, settled("c", {"other": 1}))], out)
    assert rows_of(tmp_path / "o.db") == before


@pytest.mark.parametrize(
    ("out", "form", "sentence"),
    [
        pytest.param("o.xls", Form(), "name a file that ends with .csv, .jsonl", id="old Excel"),
        pytest.param("o.parquet", Form(Shape.NESTED), "--format nested is for JSON lines and CSV", id="nested Parquet"),
        pytest.param("o.xlsx", Form(fields=("item_id",)), "--fields is for JSON lines and CSV", id="fields in Excel"),
        pytest.param("no/o.csv", Form(), "name a file in a folder you may write to", id="no such folder"),
        pytest.param("sqlite:///o.db", Form(), "expected the table's name at its end", id="no table"),
        pytest.param("sqlite:////no/o.db?table=a", Form(), "unable to open database file", id="no such database"),
        pytest.param(
            "postgresql://ada:secret@127.0.0.1:1/x?table=a",
            Form(),
            r"ada:\*\*\*@127.0.0.1:1/x did not answer",
            id="away",
        ),
    ],
)
def test_what_could_not_be_written_is_said_before_anything_is_paid(tmp_path, monkeypatch, out, form, sentence):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=sentence):
        check_writable(out, form)
    assert list(tmp_path.iterdir()) == []


def test_what_no_cell_holds_leaves_the_file_that_was_there(tmp_path):
    (tmp_path / "o.xlsx").write_text("before")
    with pytest.raises(UserError, match="row 2, 'text': 40,000 characters, and an Excel cell holds 32,767"):
        write_results([({"text": "x" * 40_000}, settled("a", "out"))], str(tmp_path / "o.xlsx"))
    wide = [({f"f{n}": 1 for n in range(2000)}, settled("a", "out"))]
    with pytest.raises(UserError, match="at most 1,000 columns"):
        write_results(wide, str(tmp_path / "o.csv"))
    assert [path.name for path in tmp_path.iterdir()] == ["o.xlsx"]
    assert (tmp_path / "o.xlsx").read_text() == "before"


def test_no_password_is_told():
    assert shown_out("postgresql://ada:secret@db/x?table=answers") == "postgresql://ada:***@db/x"
    assert shown_out("o.csv") == "o.csv"
