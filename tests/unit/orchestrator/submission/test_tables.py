"""Tables that are no text, packed files, several files."""

import bz2
import gc
import gzip
import lzma
import os
import re
import subprocess
import sys
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal

import openpyxl
import psutil
import pyarrow as pa
import pytest
from pyarrow import ipc, parquet

from firstline.orchestrator.submission import table_process
from firstline.orchestrator.submission.item_reader import count_items, read_items
from firstline.orchestrator.submission.record import as_record
from firstline.orchestrator.submission.table_items import as_json
from firstline.schemas.errors import UserError

ROWS = [
    {"id": 1, "text": "one", "price": Decimal("19.99"), "day": date(2026, 4, 3), "tags": ["a"], "none": None},
    {"id": 2, "text": "two", "price": Decimal("5.00"), "day": date(2026, 4, 4), "tags": [], "none": None},
]
EXPECTED = [
    {"id": 1, "text": "one", "price": 19.99, "day": "2026-04-03", "tags": ["a"], "none": None},
    {"id": 2, "text": "two", "price": 5, "day": "2026-04-04", "tags": [], "none": None},
]


def test_parquet_and_arrow_rows_are_items(tmp_path):
    table = pa.Table.from_pylist(ROWS)
    parquet.write_table(table, tmp_path / "a.parquet")
    with ipc.new_file(tmp_path / "a.arrow", table.schema) as writer:
        writer.write_table(table)
    for name in ("a.parquet", "a.arrow"):
        items = list(read_items(tmp_path / name))
        assert [item.input for item in items] == EXPECTED
        assert [item.item_id for item in items] == ["1", "2"]


def test_a_value_that_json_cannot_say_fails_its_row_alone(tmp_path):
    parquet.write_table(
        pa.Table.from_pylist([{"id": "a", "b": None}, {"id": "b", "b": b"\x00"}]), tmp_path / "a.parquet"
    )
    items = list(read_items(tmp_path / "a.parquet"))
    assert [item.error for item in items] == [None, "row 2 holds a value of kind bytes, which JSON cannot say"]


def test_a_table_that_is_cut_off_is_a_sentence(tmp_path):
    parquet.write_table(pa.Table.from_pylist(ROWS), tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="is no whole Parquet file"):
        read_items(tmp_path / "a.parquet")
    (tmp_path / "a.xlsx").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(UserError, match="is no workbook that can be read"):
        read_items(tmp_path / "a.xlsx")


def test_a_workbooks_first_sheet_is_read_as_it_was_last_saved(tmp_path):
    book = openpyxl.Workbook()
    sheet = book.active
    for row in [
        [],
        ["id", "text", None, "day"],
        [1, "one", "x", datetime(2026, 4, 3, tzinfo=None)],
        [2, "two"],
        [],
        [3, "c"],
    ]:
        sheet.append(row)
    sheet["G6"] = "astray"
    book.create_sheet("more")
    book.save(tmp_path / "a.xlsx")
    items = read_items(tmp_path / "a.xlsx")
    found = list(items)
    assert [item.input for item in found] == [
        {"id": 1, "text": "one", "column_3": "x", "day": "2026-04-03T00:00:00"},
        {"id": 2, "text": "two", "day": None},
        {},
    ]
    assert found[2].error == "row 6 has values beyond the last named column; name it, or clear them"
    assert any("the first of 2" in note for note in items.notes)


@pytest.mark.parametrize(("ending", "opener"), [("gz", gzip.open), ("bz2", bz2.open), ("xz", lzma.open)])
def test_packed_files_are_unpacked(tmp_path, ending, opener):
    for inner, text in (("csv", "id,text\nx,one\n"), ("jsonl", '{"id": "x", "text": "one"}\n')):
        file = tmp_path / f"a.{inner}.{ending}"
        with opener(file, "wt") as target:
            target.write(text)
        assert [item.input for item in read_items(file)] == [{"id": "x", "text": "one"}]
    file.write_bytes(file.read_bytes()[:-6])
    with pytest.raises(UserError, match="cannot be unpacked"):
        read_items(file)


def test_several_files_are_one_input_in_the_order_of_their_names(tmp_path):
    (tmp_path / "b.csv").write_text("id,text\n2,two\n3\n")
    (tmp_path / "a.jsonl").write_text('{"id": 1, "text": "one"}\n')
    items = list(read_items(f"{tmp_path}/*"))
    assert [item.item_id for item in items][:2] == ["1", "2"]
    assert str(items[2].error).startswith(f"{tmp_path}/b.csv: row 3 has 1 field")
    (tmp_path / "c.csv").write_text("id,text\n1,again\n")
    with pytest.raises(UserError, match=r"id '1' stands twice, at line 1 of .*a.jsonl and at row 2 of .*c.csv"):
        count_items(f"{tmp_path}/*")
    with pytest.raises(UserError, match="no file matches"):
        read_items(f"{tmp_path}/*.parquet")


def test_a_moment_keeps_its_time_zone(tmp_path):
    moment = datetime(2026, 4, 3, 10, 30, tzinfo=UTC)
    parquet.write_table(pa.Table.from_pylist([{"id": "a", "at": moment}]), tmp_path / "a.parquet")
    assert next(read_items(tmp_path / "a.parquet")).input["at"] == "2026-04-03T10:30:00+00:00"


def test_merged_cells_fill_their_rows_and_a_title_is_none(tmp_path):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["Complaints of April"])
    sheet.append(["region", "text", "n"])
    for number in range(6):
        sheet.append([{0: "north", 3: "south"}.get(number), f"t{number}", number])
    for merged in ("A1:C1", "A3:A5", "A6:A8"):
        sheet.merge_cells(merged)
    book.save(tmp_path / "a.xlsx")
    items = read_items(tmp_path / "a.xlsx")
    assert [item.input["region"] for item in items] == ["north"] * 3 + ["south"] * 3
    assert items.notes == (
        "row 1 is passed over: it is a title over several columns",
        "merged cells (2): what stands in the first of them counts for all",
    )


def test_a_formula_without_a_saved_value_fails_its_row_alone(tmp_path):
    book = openpyxl.Workbook()
    for row in (["text", "n", None], ["a", 1, None], ["b", "=B2+1", None], ["c", 3, "=A1"]):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    first, second, third = read_items(tmp_path / "a.xlsx")
    assert (first.input, third.input, third.error) == ({"text": "a", "n": 1}, {"text": "c", "n": 3}, None)
    assert second.error == (
        "row 3: 'n' is a formula that was never calculated; open the workbook in Excel or LibreOffice and save it"
    )


def test_a_formula_that_excel_saved_is_its_value(tmp_path):
    book = openpyxl.Workbook()
    for row in (["text", "n"], ["a", "=1+1"], ["b", "=2+2"]):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    calculated(tmp_path / "a.xlsx", {b"1+1": b"2", b"2+2": b"4"})
    assert [item.input["n"] for item in read_items(tmp_path / "a.xlsx")] == [2, 4]


def calculated(file, values):
    """Save formulas' values as Excel does."""
    with zipfile.ZipFile(file) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"]
    for formula, value in values.items():
        empty = b"<f>" + re.escape(formula) + b"</f><v(?: ?/>|></v>)"
        sheet = re.sub(empty, b"<f>" + formula + b"</f><v>" + value + b"</v>", sheet)
    with zipfile.ZipFile(file, "w") as book:
        for name, text in {**parts, "xl/worksheets/sheet1.xml": sheet}.items():
            book.writestr(name, text)


ODD_CELLS = {
    "a number of 5,000 digits": b'<row r="3"><c r="A3" t="n"><v>' + b"1" * 5000 + b"</v></c></row>",
    "a number that is none": b'<row r="3"><c r="A3" t="n"><v>abc</v></c></row>',
    "a text that is not among the texts": b'<row r="3"><c r="A3" t="s"><v>99</v></c></row>',
    "XML that breaks off": b'<row r="3"><c r="A3"',
}


@pytest.mark.parametrize("row", ODD_CELLS.values(), ids=ODD_CELLS.keys())
def test_a_workbook_that_breaks_in_the_middle_is_a_sentence(tmp_path, row):
    file = tmp_path / "a.xlsx"
    book = openpyxl.Workbook()
    for cells in (["id", "text"], ["a", "x"]):
        book.active.append(cells)
    book.save(file)
    with zipfile.ZipFile(file) as whole:
        parts = {name: whole.read(name) for name in whole.namelist()}
    with zipfile.ZipFile(file, "w") as changed:
        for name, text in parts.items():
            changed.writestr(name, text.replace(b"</sheetData>", row + b"</sheetData>"))
    with pytest.raises(UserError, match="is no workbook that can be read"):
        list(read_items(file))


@pytest.mark.parametrize("number", ["sNaN", "Infinity", "1e5000", "1e999999"])
def test_a_decimal_that_json_cannot_say_fails_its_row_alone(number):
    assert "too large for JSON" in str(as_record("row 1", as_json({"n": Decimal(number)})).error)


def test_a_parquet_of_one_row_group_is_read_in_bounded_memory(tmp_path):
    """60 MB in one group: read whole it would be in memory twice."""
    texts = [os.urandom(4000).hex() for _ in range(8000)]
    parquet.write_table(pa.table({"text": texts}), tmp_path / "a.parquet", compression="none", use_dictionary=False)
    code = (
        "import re, pyarrow.parquet\n"
        "from pathlib import Path\n"
        "from firstline.orchestrator.submission.item_reader import count_items\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s*(\\d+)', Path('/proc/self/status').read_text())[1])\n"
        f"before = peak(); count = count_items({str(tmp_path / 'a.parquet')!r})\n"
        "print(count, (peak() - before) // 1024)"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    count, grown_mb = map(int, said.stdout.split())
    assert count == 8000
    assert grown_mb < 77


def repeated(text: str, rows: int) -> pa.Table:
    """One text in a dictionary, and so many rows that point at it."""
    once = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([text]))
    return pa.table({"text": once})


def test_a_parquet_that_unpacks_to_more_than_memory_is_refused(tmp_path):
    table = repeated("x" * 4_000_000, 5_000)
    # Without Arrow's own schema the rows are read as texts.
    how = {"compression": "zstd", "dictionary_pagesize_limit": 10**9, "store_schema": False}
    parquet.write_table(table, tmp_path / "a.parquet", **how)
    assert (tmp_path / "a.parquet").stat().st_size < 100_000
    with pytest.raises(UserError, match="takes more than 600 MB of memory to read"):
        count_items(tmp_path / "a.parquet")


def test_an_arrow_file_that_unpacks_to_more_than_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(table_process, "_ROOM", 50_000_000)
    table = pa.table({"n": pa.array(range(1), pa.int64()).take(pa.array([0] * 10_000_000, pa.int32()))})
    with ipc.new_file(tmp_path / "a.arrow", table.schema, options=ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    assert (tmp_path / "a.arrow").stat().st_size < 100_000
    with pytest.raises(UserError, match="takes more than 50 MB of memory to read"):
        count_items(tmp_path / "a.arrow")


def test_rows_without_end_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(table_process, "MOST_WHOLE", 1_000_000)
    parquet.write_table(pa.table({"a": pa.nulls(1_000_000)}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match="holds more than 1 MB in its rows unpacked; send it in parts"):
        count_items(tmp_path / "a.parquet")


def test_a_row_that_is_too_long_fails_alone_and_large_ones_are_read(tmp_path):
    texts = ["a", "x" * 6_000_000, *("y" * 4_000_000 for _ in range(60))]
    parquet.write_table(pa.table({"text": texts}), tmp_path / "a.parquet", use_dictionary=False)
    items = list(read_items(tmp_path / "a.parquet"))
    assert [item.error is None for item in items] == [True, False, *[True] * 60]
    assert "the item is 6.0 MB" in str(items[1].error)


def test_who_takes_a_few_rows_leaves_no_process(tmp_path):
    parquet.write_table(pa.table({"a": list(range(100_000))}), tmp_path / "a.parquet")
    items = read_items(tmp_path / "a.parquet", limit=3)
    assert len(list(items)) == 3
    del items
    gc.collect()
    assert [one for one in psutil.Process().children() if "table_process" in " ".join(one.cmdline())] == []


def test_the_process_that_reads_a_table_sees_no_secret(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    assert "sk-1" not in table_process._environment().values()


def test_a_workbook_that_is_far_larger_unpacked_is_refused_before_it_is_read(tmp_path, monkeypatch):
    file = tmp_path / "a.xlsx"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as book:
        with book.open("xl/sharedStrings.xml", "w") as strings:
            for _ in range(101):
                strings.write(b"0" * 1_000_000)
        book.writestr("xl/worksheets/sheet1.xml", "<worksheet/>")
    assert file.stat().st_size < 200_000
    monkeypatch.setattr("openpyxl.load_workbook", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(UserError, match=r"101 MB beside its sheets .* save the sheet as CSV"):
        read_items(file)
