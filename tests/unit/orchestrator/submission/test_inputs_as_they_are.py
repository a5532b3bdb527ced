"""Files as people and programs export them, a bad row failing alone, and what was assumed told."""

import json
import os
import time
import tracemalloc
from pathlib import Path

import pytest

from firstline.orchestrator.submission.item_reader import as_item, count_items, read_items
from firstline.schemas.errors import UserError
from firstline.workers.rules.json_text import printable

SUITES = Path(__file__).parents[3] / "suites"
CASES = Path(__file__).parents[3] / "data" / "cases"
EXPORTS, LINES = CASES / "01-csv-exports", CASES / "02-jsonl-hostile"
SPECTRUM = SUITES / "csv_spectrum"
QUESTION, REFUND = "Where is my kettle, please?", "I want my money back"


@pytest.mark.parametrize(
    "name",
    [
        "plain",
        "excel_utf8_bom_crlf",
        "excel_cp1252",
        "excel_unicode_text_utf16",
        "excel_sep_line",
        "pandas_unnamed_index",
        "sheet_trailing_columns",
        "year_columns",
        "header_nan",
        "cr_only",
        "header_with_commas_semicolon",
        "space_after_comma_quotes",
        "two_hundred_columns",
    ],
)
def test_an_export_gives_its_two_items(name):
    items = list(read_items(EXPORTS / f"{name}.csv"))
    assert [item.error for item in items] == [None, None]
    assert [item.input["text"] for item in items] == [QUESTION, REFUND]


def test_cells_come_as_they_were_typed():
    (first, second) = read_items(EXPORTS / "excel_cp1252.csv")
    assert (first.input["city"], second.input["city"]) == ("Köln", "Zürich \u2013 5 €")
    assert [item.input["city"] for item in read_items(EXPORTS / "excel_sep_line.csv")] == ["Köln", "Łódź"]
    (first, _) = read_items(EXPORTS / "header_with_commas_semicolon.csv")
    assert first.input["name, given"] == "Ann"
    assert "kettle" in str(next(read_items(EXPORTS / "quoted_newlines.csv")).input["text"])


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("excel_cp1252", "read as windows-1252 (a guess"),
        ("excel_unicode_text_utf16", "read as utf-16-le"),
        ("excel_sep_line", "`sep=;` in the first line"),
        ("header_with_commas_semicolon", "set apart by semicolons"),
        ("pandas_unnamed_index", "called column_N (1 of 3)"),
        ("one_column_commas", "one column"),
    ],
)
def test_what_is_assumed_is_told(name, note):
    assert any(note in said for said in read_items(EXPORTS / f"{name}.csv").notes)


def test_of_a_plain_file_nothing_is_told():
    assert read_items(EXPORTS / "plain.csv").notes == ()


def test_a_ragged_row_fails_alone_with_its_line():
    items = list(read_items(EXPORTS / "ragged_row.csv"))
    assert [item.error is None for item in items] == [True, False, False, True]
    assert [str(item.error)[:5] for item in items[1:3]] == ["row 3", "row 4"]
    assert "has 4 fields, expected 3 (id, text, city)" in str(items[2].error)


def test_a_row_with_a_nul_fails_alone():
    bad, good = read_items(EXPORTS / "nul_byte.csv")
    assert "NUL" in str(bad.error)
    assert good.error is None


def test_a_column_or_an_id_that_stands_twice_refuses_the_file_with_its_name():
    with pytest.raises(UserError, match=r"names a column twice \(text\)"):
        read_items(EXPORTS / "header_twice.csv")
    with pytest.raises(UserError, match=r"stands twice, at row \d and at row \d"):
        count_items(EXPORTS / "same_id_twice.csv")


def test_commas_in_the_only_column_are_text():
    assert [item.input["text"] for item in read_items(EXPORTS / "one_column_commas.csv")] == [
        "Hello, where is my kettle, please?",
        "So, well, I want my money back",
    ]


def test_of_hostile_lines_each_bad_one_fails_alone_with_its_number():
    items = list(read_items(LINES / "items.jsonl"))
    settled = {item.item_id for item in items if item.error is None}
    assert settled >= {"ok1", "pair", "u2028", "12", "spaced", "bomline", "ok2", "last"}
    failed = [str(item.error) for item in items if item.error]
    assert len(failed) >= 17
    assert all(reason.startswith("line ") or "no usable 'id'" in reason for reason in failed)
    assert any("not UTF-8 (byte 0xe9" in reason for reason in failed)
    assert {"nan", "inf", "exp", "comma", "huge", "lone", "nul", "latin1"}.isdisjoint(settled)
    (separators,) = [item for item in items if item.item_id == "u2028"]
    assert "\u2028" in str(separators.input["text"])


BAD_ELEMENTS = {
    '{"id": "a", "n": NaN}': "NaN is not a JSON value",
    '{"id": "a", "text": "no", "text": "kettle"}': "'text' stands twice with different values",
    f'{{"id": "a", "n": {"9" * 6000}}}': "a number has too many digits",
}


@pytest.mark.parametrize("bad", BAD_ELEMENTS)
@pytest.mark.parametrize("pad", [0, 1 << 18])
def test_what_json_does_not_have_fails_its_line_or_element_alone(tmp_path, bad, pad):
    good = json.dumps({"id": "g", "text": "x" * pad})
    (tmp_path / "a.jsonl").write_text("\n".join([good, bad, '{"id": "h"}']))
    (tmp_path / "a.json").write_text(f'[{good}, {bad}, {{"id": "h"}}]')
    for name in ("a.jsonl", "a.json"):
        first, failed, last = read_items(tmp_path / name)
        assert (first.item_id, last.item_id) == ("g", "h")
        assert BAD_ELEMENTS[bad] in str(failed.error)
        assert str(failed.error).startswith(("line 2 ", "element 2 "))


def test_a_field_that_stands_twice_with_one_value_is_no_fault(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id": "a", "n": 1, "n": 1.0}\n')
    (item,) = read_items(tmp_path / "a.jsonl")
    assert item.error is None


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("array_with_bad_tail.json", "element 2: a comma follows it, and then the array ends"),
        ("one_object_pretty.json", "is one JSON object; expected an array of objects"),
    ],
)
def test_a_file_that_is_no_list_says_what_to_do(name, sentence):
    with pytest.raises(UserError, match=sentence):
        count_items(LINES / name)


#: The suite's own JSON has other numbers than its CSV, or a `\ufffd` that only one of them has.
DEVIATIONS = {"location_coordinates": "the JSON has another telephone number than the CSV"}


@pytest.mark.parametrize("name", sorted(file.stem for file in (SPECTRUM / "csvs").glob("*.csv")))
def test_csv_spectrum_is_read_as_it_says(name):
    expected = json.loads((SPECTRUM / "json" / f"{name}.json").read_text())
    found = [item.input for item in read_items(SPECTRUM / "csvs" / f"{name}.csv")]
    if name in DEVIATIONS:
        assert [list(fields) for fields in found] == [list(expected)]
        return
    assert found == expected


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Où est ma commande ? Déjà payé, merci à vous", "cp1252"),
        ("Straße, Zürich, Köln \u2013 5 €", "cp1252"),
        ("Zażółć gęślą jaźń, Łódź, proszę o zwrot pieniędzy", "cp1250"),
        ("Где мой заказ? Верните деньги, пожалуйста", "cp1251"),
        ("Москва город", "cp1251"),
        ("注文はどこですか。返金してください。よろしくお願いします", "cp932"),
        ("我的订单在哪里。请尽快退款。谢谢你们的帮助", "gb18030"),
        ("주문이 어디 있나요? 환불해 주세요", "cp949"),
        ("Příliš žluťoučký kůň úpěl ďábelské ódy", "cp1250"),
        ("Где мой заказ? Верните деньги, пожалуйста", "koi8-r"),
        ("Köln; Zürich für Straße, déjà café", "mac-roman"),
        ("Zürich für Straße, déjà café", "cp850"),
        ("Πού είναι η παραγγελία μου;", "cp1253"),
        ("Siparişim nerede? Lütfen iade ediniz, çağrı İstanbul", "cp1254"),
        ("איפה ההזמנה שלי? אנא החזירו", "cp1255"),
        ("أين طلبي؟ أريد استرداد أموالي", "cp1256"),
        ("我的訂單在哪裡?請退款給我", "big5"),
        ("café", "cp1252"),
        ("Příliš žluťoučký kůň, Łódź", "utf-16"),
        ("Köln 東京 Łódź", "utf-8-sig"),
    ],
)
def test_an_encoding_is_found_and_told(tmp_path, text, encoding):
    file = tmp_path / "a.csv"
    file.write_bytes(f'id;text\r\n1;"{text}"\r\n2;"{text}"\r\n'.encode(encoding))
    items = read_items(file)
    assert [item.input["text"] for item in items] == [text, text]
    assert any("read as" in note for note in items.notes) is (encoding != "utf-8-sig")


def test_a_bad_byte_in_a_utf_8_file_fails_its_row_alone(tmp_path):
    file = tmp_path / "a.csv"
    file.write_bytes("id,text\n1,Köln\n2,caf?\n3,Łódź\n".encode().replace(b"?", b"\xe9"))
    items = list(read_items(file))
    assert [item.error is None for item in items] == [True, False, True]
    assert items[1].error == "row 3 is not UTF-8: 'text' holds byte 0xe9; save the file as UTF-8"


def test_an_encoding_can_be_named(tmp_path):
    file = tmp_path / "a.csv"
    file.write_bytes("text\nä\n".encode("cp850"))
    assert [item.input["text"] for item in read_items(file, encoding="cp850")] == ["ä"]
    with pytest.raises(UserError, match="there is no encoding 'utf8000'"):
        read_items(file, encoding="utf8000")


def test_an_open_quotation_mark_costs_its_row_and_not_those_below(tmp_path):
    rows = [f"{n},text {n}" for n in range(1, 2_001)]
    rows[4] = '5,"open'
    rows[900] = '901,"a ""quoted"" one"'
    file = tmp_path / "a.csv"
    file.write_text("id,text\n" + "\n".join(rows) + "\n")
    items = list(read_items(file))
    assert len(items) == 2_000
    assert [item.error for item in items if item.error] == ["row 6 is not valid CSV; is a quotation mark left open?"]
    assert items[900].input["text"] == 'a "quoted" one'


def test_quotes_escaped_with_a_backslash_are_read(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text('id,text\n1,"he said \\"no\\", twice"\n2,"well, \\"yes\\""\n')
    assert [item.input["text"] for item in read_items(file)] == ['he said "no", twice', 'well, "yes"']


def test_columns_counted_from_zero_are_a_header_and_a_first_row_of_data_is_none(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("0,1,2\na,b,c\n")
    assert next(read_items(file)).input == {"0": "a", "1": "b", "2": "c"}
    file.write_text("17,hello\n18,world\n")
    with pytest.raises(UserError, match="has no header"):
        read_items(file)


@pytest.mark.parametrize(("content", "kind"), [(b"\xd0\xcf\x11\xe0....", "an old Excel"), (b"%PDF-1.7", "a PDF")])
def test_what_is_no_table_is_called_by_its_name(tmp_path, content, kind):
    file = tmp_path / "a.csv"
    file.write_bytes(content)
    with pytest.raises(UserError, match=f"is {kind}"):
        read_items(file)


def test_three_hundred_thousand_columns_take_seconds(tmp_path):
    file = tmp_path / "a.csv"
    columns = [f"c{n}" for n in range(300_000)]
    file.write_text(",".join(columns) + "\n" + ",".join(["x"] * 300_000) + "\n")
    begun = time.monotonic()
    assert count_items(file) == 1
    assert time.monotonic() - begun < 20


def test_a_large_array_is_read_as_a_stream(tmp_path):
    file = tmp_path / "a.json"
    with file.open("w") as target:
        target.write("[")
        for n in range(30_000):
            target.write(f'{"," if n else ""}\n{{"id": {n}, "text": "{"x" * 300}", "nested": [{{"a": [1, 2]}}]}}')
        target.write("\n]\n")
    tracemalloc.start()
    assert sum(1 for item in read_items(file) if item.error is None) == 30_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert file.stat().st_size > 9_000_000
    assert peak < 4_000_000


@pytest.mark.parametrize("pad", range(3))
def test_an_element_that_a_chunk_ends_in_is_read_whole(tmp_path, pad, monkeypatch):
    monkeypatch.setattr("firstline.orchestrator.submission.json_items._CHUNK", 7)
    values = [{"id": n, "n": 12345.6789, "text": "ü" * n, "deep": {"a": [True, None]}} for n in range(1, 6)]
    file = tmp_path / "a.json"
    file.write_text(" " * pad + json.dumps(values, indent=pad, ensure_ascii=False))
    assert [item.input for item in read_items(file)] == values


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"t": "a\0"}, "NUL"),
        ({"t": "\ud800"}, "half a character"),
        ({"n": float("inf")}, "too large for JSON"),
        ({"n": 10**400}, "over 308 digits"),
        ({"d": json.loads("[" * 101 + "]" * 101)}, "nested too deeply"),
        ({"t": "x" * 5_000_001}, "5.0 MB"),
        ({"n": 10**300, "t": "7" * 400, "d": json.loads("[" * 90 + "]" * 90)}, None),
    ],
)
def test_what_a_program_hands_in_passes_the_same_door(fields, reason):
    item = as_item({"id": "a"} | fields, 0)
    assert item.item_id == "a"
    assert (item.error is None) is (reason is None)
    assert reason is None or reason in str(item.error)


@pytest.mark.parametrize(
    "own",
    ["a\0", "\ud800", 10**5000, "x" * 201, float("nan"), None],
    ids=["nul", "half", "digits", "long", "nan", "none"],
)
def test_an_id_that_cannot_be_kept_is_not_taken(own):
    item = as_item({"id": own, "t": "x"}, 4)
    assert item.item_id == "5"
    assert (item.error is None) is (own is None)


SPOILT = {
    "a.jsonl": b'{"\\ud800": 1, "\\ud800": 2}\n{"t": 1}\n',
    "a.json": b'[{"\\ud800": 1, "\\ud800": 2}, {"t": 1}]',
    "a.tsv": b"id\tt\xff\n1\t2\t3\n",
    "nul.csv": b"id,t\0\n1,2,3\n",
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_is_said_of_an_item_can_be_kept_whatever_it_quotes(tmp_path, name):
    (tmp_path / name).write_bytes(SPOILT[name])
    encoding = "utf-8" if name == "a.tsv" else None
    bad = next(item for item in read_items(tmp_path / name, encoding=encoding) if item.error)
    assert printable(bad.error) == bad.error


def test_files_whose_names_are_in_no_encoding_are_items_like_others(tmp_path):
    for name in (b"caf\xe9.txt", b"caf\xe8.txt", "café.txt".encode()):
        Path(os.fsdecode(bytes(tmp_path) + b"/" + name)).write_text("hello")
    items = list(read_items(tmp_path))
    assert {item.item_id for item in items} == {"caf\\xe9.txt", "caf\\xe8.txt", "café.txt"}
    assert [item.error for item in items] == [None] * 3
    for name in (b"g\xe9.jsonl", b"h\xe9.jsonl"):
        Path(os.fsdecode(bytes(tmp_path) + b"/" + name)).write_text(f'{{"id": "{name[:1].decode()}"}}\nno JSON\n')
    items = list(read_items(f"{tmp_path}/*.jsonl"))
    assert [item.error is None for item in items] == [True, False, True, False]
    assert all(printable(item.error or "") == (item.error or "") for item in items)
