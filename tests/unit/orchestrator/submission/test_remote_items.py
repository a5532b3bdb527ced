"""Items by URL: a query's rows, files elsewhere; copied whole, or one sentence and nothing begun."""

import sqlite3
from pathlib import Path

import fsspec
import pytest

from firstline.orchestrator.submission.item_reader import read_items, readable_twice
from firstline.orchestrator.submission.remote_items import is_remote, source_name, with_query
from firstline.schemas.errors import UserError


@pytest.fixture
def shop(tmp_path):
    file = tmp_path / "shop.db"
    with sqlite3.connect(file) as db:
        db.execute("create table mails (id text, body text, at text, price real)")
        db.executemany(
            "insert into mails values (?, ?, ?, ?)", [(f"m{n}", f"Mail {n}", None, n / 2) for n in range(1200)]
        )
    return f"sqlite:///{file}"


def items(source):
    with readable_twice(source) as here:
        return [(item.item_id, item.input) for item in read_items(here)]


@pytest.mark.parametrize(
    "query",
    [
        "select id, body as text, price from mails where body like 'Mail 1%' and ':n' <> 'x&y'",
        "select+id,+body+as+text,+price+from+mails+where+body+like+'Mail+1%25'",
    ],
)
def test_a_querys_rows_are_items(shop, query):
    found = items(f"{shop}?query={query}")
    assert len(found) == 1 + 10 + 100 + 200
    assert found[0] == ("m1", {"id": "m1", "text": "Mail 1", "price": 0.5})


def test_a_query_may_stand_in_a_file(shop, tmp_path):
    (tmp_path / "q.sql").write_text("select id, body\nfrom mails -- all of them\norder by id limit 3")
    assert [item_id for item_id, _ in items(with_query(shop, tmp_path / "q.sql"))] == ["m0", "m1", "m10"]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        pytest.param("", "expected a query at its end", id="none"),
        pytest.param("?query=select nonsense from mails", "no such column: nonsense", id="wrong"),
        pytest.param("?query=delete from mails returning id", "readonly database", id="it writes"),
        pytest.param("?query=select 1; select 2", "one statement at a time", id="two"),
        pytest.param("?query=select x'00ff' as raw", "row 1 holds a value of kind bytes", id="no text"),
    ],
)
def test_a_query_that_will_not_do_is_one_sentence(shop, query, sentence):
    with pytest.raises(UserError, match=sentence) as refused:
        items(f"{shop}{query}")
    assert "\n" not in str(refused.value)
    assert len(items(f"{shop}?query=select * from mails")) == 1200


def test_files_elsewhere_are_copied_one_or_many():
    memory = fsspec.filesystem("memory")
    for number in range(2):
        memory.pipe(f"/box/{number}.csv", f"id,text\n{number},hello\n".encode())
    assert items("memory://box/0.csv") == [("0", {"id": "0", "text": "hello"})]
    assert [item_id for item_id, _ in items("memory://box/*.csv")] == ["0", "1"]


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("memory://nothing.csv", r"memory://nothing.csv cannot be read \(.*\); nothing has been begun"),
        ("memory://nowhere/*.csv", "no file matches"),
        ("http://127.0.0.1:1/a.csv", "(?i)connect"),
        ("gopher://host/a.csv", "cannot be read|needs"),
    ],
)
def test_what_is_not_there_is_one_sentence(url, sentence):
    with pytest.raises(UserError, match=sentence):
        items(url)


def test_a_source_that_dies_midway_leaves_nothing(monkeypatch):
    memory = fsspec.filesystem("memory")
    memory.pipe("/box/dying.csv", b"id,text\n" + b"1,hello\n" * 400_000)
    whole = type(memory.store["/box/dying.csv"]).read
    reads = []

    def dies(self, size=-1):
        reads.append(size)
        if len(reads) > 1:
            raise ConnectionResetError("the other side is gone")
        return whole(self, size)

    monkeypatch.setattr(type(memory.store["/box/dying.csv"]), "read", dies)
    with pytest.raises(UserError, match="the other side is gone"):
        items("memory://box/dying.csv")


def test_a_url_is_told_without_password_and_query():
    assert source_name("postgresql://ada:secret@db/x?query=select 1") == "postgresql://ada:***@db/x"
    assert [is_remote(one) for one in ("a.csv", "C:/a.csv", "-", Path("s3://a"))] == [False] * 4
