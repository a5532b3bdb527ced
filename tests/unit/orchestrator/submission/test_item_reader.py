"""What a person gives as items becomes items, or a sentence that says what to mend."""

import csv
import io
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firstline.orchestrator.submission import item_reader
from firstline.orchestrator.submission.item_reader import InputItem, count_items, read_items, readable_twice
from firstline.schemas.errors import UserError


@pytest.fixture
def put(tmp_path, monkeypatch):
    """Write a file into an empty current folder and return its name."""
    monkeypatch.chdir(tmp_path)

    def write(content: bytes | str, name: str = "items.csv") -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return name

    return write


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("a.csv", "id,text\nx,one\ny,two\n", id="csv"),
        pytest.param(
            "a.csv", "\ufeffid,text\r\nx,one\r\n\r\ny,two", id="csv with BOM, CRLF, blank line, no last newline"
        ),
        pytest.param("a.csv", "id;text\nx;one\ny;two\n", id="csv with semicolons"),
        pytest.param("a.tsv", "id\ttext\nx\tone\ny\ttwo\n", id="tsv"),
        pytest.param("a.jsonl", '{"id":"x","text":"one"}\n\n{"id":"y","text":"two"}\n', id="jsonl with blank line"),
        pytest.param("a.json", '[{"id":"x","text":"one"},{"id":"y","text":"two"}]', id="json array"),
        pytest.param("a.json", '{"id":"x","text":"one"}\n{"id":"y","text":"two"}', id="json lines named json"),
        pytest.param("a.dat", '\ufeff [{"id":"x","text":"one"},{"id":"y","text":"two"}]', id="sniffed array"),
        pytest.param("a.dat", "id,text\nx,one\ny,two\n", id="sniffed csv"),
    ],
)
def test_the_same_items_come_from_every_format(put, name, content):
    items = list(read_items(put(content, name)))
    assert items == [InputItem("x", {"id": "x", "text": "one"}), InputItem("y", {"id": "y", "text": "two"})]


def test_items_without_an_id_are_numbered_from_one(put):
    assert [item.item_id for item in read_items(put("text\na\nb\n"))] == ["1", "2"]


def test_an_id_field_can_be_named(put):
    source = put('{"ticket": 17, "id": "no"}\n{"ticket": 18, "id": "no"}\n', "a.jsonl")
    assert [item.item_id for item in read_items(source, id_field="ticket")] == ["17", "18"]


def test_a_quoted_csv_field_may_hold_delimiters_quotes_and_newlines(put):
    (item,) = read_items(put('id,text\nx,"a, ""b""\nc"\n'))
    assert item.input["text"] == 'a, "b"\nc'


def test_a_limit_stops_the_reading_before_what_is_wrong_further_down(put):
    source = put("id,text\na,1\nb,2\nragged\n")
    assert count_items(source, limit=2) == 2


def test_an_input_of_which_nothing_can_be_read_is_refused_and_a_bad_item_alone_is_not(put):
    with pytest.raises(UserError, match=r"none of the 2 items can be read; the first: line 1 is not valid JSON"):
        count_items(put("{broken\n{too\n", "all.jsonl"))
    assert count_items(put('{broken\n{"id": "1"}\n', "one.jsonl")) == 2


def test_a_folder_gives_one_item_per_file_named_by_it(put):
    put("two", "texts/b.txt")
    put("one", "texts/a.txt")
    put("deep", "texts/sub/c.md")
    put("no", "texts/.hidden")
    assert list(read_items("texts")) == [
        InputItem("a.txt", {"name": "a.txt", "text": "one"}),
        InputItem("b.txt", {"name": "b.txt", "text": "two"}),
        InputItem("sub/c.md", {"name": "sub/c.md", "text": "deep"}),
    ]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        pytest.param(
            "a.csv", "", "a.csv is empty; expected a CSV with a header row, JSONL or a JSON array", id="empty csv"
        ),
        pytest.param(
            "a.csv", "\n \n", "a.csv is empty; expected a CSV with a header row, JSONL or a JSON array", id="blank csv"
        ),
        pytest.param(
            "a.parquet",
            "id,text",
            "a.parquet is named as a Parquet file and is none by how it begins; it may be cut off: fetch it again",
            id="no parquet",
        ),
        pytest.param(
            "a.xlsx",
            "",
            "a.xlsx is named as an Excel workbook and is none by how it begins; it may be cut off: fetch it again",
            id="empty workbook",
        ),
        pytest.param("a.jsonl", "", "a.jsonl holds no items; expected at least one", id="empty jsonl"),
        pytest.param("a.json", "[]", "a.json holds no items; expected at least one", id="empty array"),
        pytest.param("a.csv", "id,text\n", "a.csv holds no items; expected at least one", id="only a header"),
        pytest.param(
            "a.csv",
            "id,text\na,1\nb,2\na,3\n",
            "a.csv: id 'a' stands twice, at row 2 and at row 4; every item needs its own id",
            id="duplicate id in csv",
        ),
        pytest.param(
            "a.jsonl",
            '{"id":1}\n{"id":"1"}\n',
            "a.jsonl: id '1' stands twice, at line 1 and at line 2; every item needs its own id",
            id="duplicate id in jsonl",
        ),
        pytest.param(
            "a.csv",
            "1,hello\n2,world\n",
            "a.csv has no header: row 1 must name the columns, but column 1 is '1'; add a first row such as id,text",
            id="no header",
        ),
        pytest.param(
            "a.csv",
            "id,text,text\n1,2,3\n",
            "a.csv: row 1 names a column twice (text); every column needs its own name",
            id="column named twice",
        ),
        pytest.param(
            "a.json",
            '[{"id": 1}, ',
            "a.json is not a valid JSON array: element 2: the text breaks off in it; "
            "mend it, or write one item a line (JSONL), of which a bad one fails alone",
            id="broken array",
        ),
        pytest.param(
            "a.json",
            '{\n  "id": 1\n}\n',
            "a.json is one JSON object; expected an array of objects, or one object on every line; where the items "
            'stand in a field of it, take them out: `jq -c ".data[]" FILE > items.jsonl`',
            id="one pretty-printed object",
        ),
    ],
)
def test_bad_input_is_one_sentence(put, name, content, sentence):
    with pytest.raises(UserError) as caught:
        list(read_items(put(content, name)))
    assert str(caught.value) == sentence


def test_a_missing_file_is_refused_before_the_first_item(put):
    with pytest.raises(UserError, match=r"input nowhere\.csv does not exist; give a file"):
        read_items("nowhere.csv")


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no files; put one text file per item into it"):
        read_items(tmp_path)


def test_a_folder_that_cannot_be_listed_is_refused(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match=r"cannot be read \(Permission denied\); check its permissions"):
        read_items(tmp_path)


def test_an_id_field_that_is_not_there_is_refused(put):
    with pytest.raises(UserError, match="has no field 'ticket' to take ids from; its fields are: id, text"):
        list(read_items(put("id,text\na,1\n"), id_field="ticket"))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param("{broken", "line 2 is not valid JSON: Expecting property name", id="not JSON"),
        pytest.param('"text"', "line 2 is a text; expected an object with fields", id="a text"),
        pytest.param("[1]", "line 2 is a list; expected an object with fields", id="a list"),
        pytest.param("null", "line 2 is null; expected an object with fields", id="null"),
        pytest.param("3", "line 2 is a number; expected an object with fields", id="a number"),
        pytest.param('{"n": NaN}', "line 2 is not valid JSON: NaN is not a JSON value", id="NaN"),
        pytest.param('{"n": 1e999}', "line 2 holds a number too large for JSON", id="overflowing number"),
        pytest.param('{"t": "\\ud800"}', "line 2 holds half a character", id="lone surrogate"),
        pytest.param('{"t": "a\\u0000b"}', "line 2 holds a NUL character", id="NUL"),
        pytest.param("[" * 100_000, "line 2 is nested too deeply", id="nesting bomb"),
        pytest.param(f'{{"t": "{"x" * 5_000_000}"}}', "the item is 5.0 MB; the limit is 5 MB: split it", id="5 MB"),
        pytest.param(f'{{"t": "{"x" * 12_000_000}"}}', "the item is 12.0 MB; the limit is 5 MB: split it", id="12 MB"),
    ],
)
def test_a_bad_line_fails_alone(put, line, reason):
    source = put(f'{{"text":"before"}}\n{line}\n{{"text":"after"}}\n', "a.jsonl")
    before, bad, after = read_items(source)
    assert (before.input, after.input) == ({"text": "before"}, {"text": "after"})
    assert (bad.item_id, bad.input) == ("2", {})
    assert bad.error is not None
    assert bad.error.startswith(reason)


def test_a_text_that_only_spells_an_escape_is_no_nul_character(put):
    (item,) = read_items(put(json.dumps({"t": "\\u0000"}), "a.jsonl"))
    assert item == InputItem("1", {"t": "\\u0000"})


def test_a_csv_row_of_five_megabytes_fails_alone(put):
    first, big, last = read_items(put(f"id,text\na,1\nb,{'x' * 5_000_000}\nc,3\n"))
    assert (first.error, last.error, last.item_id) == (None, None, "c")
    assert big.error == "the item is 5.0 MB; the limit is 5 MB: split it"


def test_a_bad_line_among_items_with_ids_takes_no_id_of_theirs(put):
    items = list(read_items(put('nonsense\n{"id":"1"}\n{"text":"no id"}\n{"id":"3"}\n', "a.jsonl")))
    assert len({item.item_id for item in items}) == 4
    assert [item.error is None for item in items] == [False, True, False, True]


def test_a_file_that_is_no_text_fails_alone_in_its_folder(put):
    put("fine", "texts/a.txt")
    put(b"\x89PNG\x0d\x0a\x1a\x0a\x00\xff\xfe", "texts/b.bin")
    put("x" * 5_000_001, "texts/c.txt")
    errors = {item.item_id: item.error for item in read_items("texts")}
    assert errors == {
        "a.txt": None,
        "b.bin": "b.bin is no text: byte 0x89 at 0",
        "c.txt": "the item is 5.0 MB; the limit is 5 MB: split it",
    }


def test_a_pipe_can_be_read_twice_once_it_is_copied(tmp_path):
    reader, writer = os.pipe()
    os.write(writer, b"id,text\na,1\n")
    os.close(writer)
    with readable_twice(f"/dev/fd/{reader}") as source:
        assert count_items(source) == 1
        assert [item.item_id for item in read_items(source)] == ["a"]
    os.close(reader)


def test_reading_a_file_keeps_no_more_than_a_line(monkeypatch):
    """The reader hands an item over before it asks for the next line."""
    asked = 0

    class Stream(io.BytesIO):
        def readline(self, size: int | None = -1) -> bytes:
            nonlocal asked
            asked += 1
            return super().readline(size)

    monkeypatch.setattr(item_reader, "_open", lambda source: Stream(b'{"a":1}\n' * 1000))
    items = read_items("a.jsonl")
    next(items)
    assert asked <= 2


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
names = st.text(st.characters(categories=["Ll"]), min_size=1, max_size=8).filter(
    lambda name: name not in ("nan", "inf", "infinity")
)
ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


@ONE_FOLDER
@given(header=st.lists(names, min_size=2, max_size=4, unique=True), data=st.data())
def test_what_csv_writes_is_what_is_read(tmp_path: Path, header, data):
    cells = st.lists(texts, min_size=len(header), max_size=len(header))
    rows = data.draw(st.lists(cells, min_size=1, max_size=5))
    path = tmp_path / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([header, *rows])
    read = [list(item.input.values()) for item in read_items(path, id_field=None)] if "id" not in header else rows
    assert read == rows


@ONE_FOLDER
@given(
    st.lists(
        st.dictionaries(texts.filter(lambda key: key != "id"), st.none() | st.booleans() | st.integers() | texts),
        min_size=1,
    )
)
def test_what_jsonl_holds_is_what_is_read(tmp_path: Path, objects):
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps(value) for value in objects), encoding="utf-8")
    items = list(read_items(path))
    assert [item.input for item in items] == objects
    assert [item.item_id for item in items] == [str(number) for number in range(1, len(objects) + 1)]


@ONE_FOLDER
@given(content=st.binary(max_size=200), suffix=st.sampled_from(["csv", "jsonl", "json", "txt"]))
def test_no_bytes_at_all_give_a_traceback(tmp_path: Path, content, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    try:
        ids = [item.item_id for item in read_items(path)]
    except UserError:
        return
    assert len(ids) == len(set(ids)) > 0
