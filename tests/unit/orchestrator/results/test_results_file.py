"""What is written for spreadsheets cannot act in them."""

import csv
import io

import pytest

from firstline.orchestrator.results.cells import harmless
from firstline.orchestrator.results.results_file import CsvStyle, ResultFormat, lines
from firstline.schemas.job import ItemResult, ItemState


def result(output, **more):
    return ItemResult(item_id="1", status=ItemState.SETTLED, output=output, **more)


def rows(results, style=None):
    return list(csv.DictReader(io.StringIO("".join(lines(results, ResultFormat.CSV, style or CsvStyle())))))


@pytest.mark.parametrize(
    "cell", ["=1+1", "+cmd|' /C calc'!A0", "-2+3+cmd", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1+1", '=HYPERLINK("x")']
)
def test_a_cell_that_a_spreadsheet_would_run_is_defused(cell):
    assert rows([result(cell)])[0]["output"] == "'" + cell
    assert rows([result("ok", reason=cell)])[0]["reason"] == "'" + cell
    assert rows([result(cell)], CsvStyle(raw=True))[0]["output"] == cell


@pytest.mark.parametrize("cell", ["-4.5", "+49 is the code"[:3], "-1,234.50", "-3%", "a=b", "x - y", "12", "", "a\nb"])
def test_numbers_and_plain_texts_are_as_they_were(cell):
    assert harmless(cell) == cell


def test_numbers_stay_numbers_and_control_characters_become_pictures():
    assert [row["output"] for row in rows([result(-5), result(1.5)])] == ["-5", "1.5"]
    assert harmless("a\x1b[31mb\0\x9b") == "a\u241b[31mb\u2400\ufffd"


def test_the_mark_for_excel_comes_first_and_once():
    text = "".join(lines([result("a"), result("b")], ResultFormat.CSV, CsvStyle(bom=True)))
    assert text.startswith("\ufeffitem_id,")
    assert text.count("\ufeff") == 1
