"""What is seen of a new job before it is submitted: rows, fields and their columns, and its expected cost."""

import re

import pytest

from firstline.orchestrator import api
from firstline.schemas.access import Role
from tests.unit.web_house import build_house

ROWS = "no,body,lang\n" + "".join(f"{n},a long text of ticket {n},en\n" for n in range(1, 13))


@pytest.fixture
def house(tmp_path, monkeypatch):
    return build_house(tmp_path, monkeypatch)


@pytest.fixture
def look(house):
    """Ask for a preview as the form does, with what differs from a form that is filled in well."""
    client = house.client()
    client.post("/login", data={"token": house.token(Role.SUBMITTER)})
    guard = re.search(r'name="guard" value="([0-9a-f]{64})"', client.get("/submit").text)
    form = {"guard": guard[1], "workflow": "sort", "profile": "house", "texts": ROWS}

    def ask(path="/submit/preview", *, files=None, **fields):
        return client.post(path, data=form | fields, files=files)

    return ask


def chosen(text, field):
    select = re.search(rf'<select id="from-{field}".*?</select>', text, re.DOTALL)
    option = re.search(r"<option selected>([^<]*)", select[0]) if select else None
    return option[1] if option else None


def test_the_first_ten_rows_are_shown_and_nothing_is_sent(look):
    page = look()
    assert page.status_code == 200, page.text
    assert "The first 10 rows" in page.text
    assert "ticket 10" in page.text
    assert "ticket 11" not in page.text
    assert api.jobs() == []


def test_a_field_is_taken_from_the_likeliest_column_until_a_person_says_otherwise(look):
    assert chosen(look().text, "text") == "body"
    assert "the likeliest" in look().text
    page = look(**{"from-text": "lang"})
    assert chosen(page.text, "text") == "lang"
    assert "the likeliest" not in page.text


def test_a_column_that_another_file_lacks_is_chosen_anew(look):
    page = look(files={"file": ("a.jsonl", '{"text": "a"}\n')}, **{"from-text": "body"})
    assert chosen(page.text, "text") == "text"
    assert "the likeliest" not in page.text


def test_a_field_may_be_taken_from_within_a_column(look):
    nested = '{"mail": {"subject": "Parcel", "body": "It has not come."}, "n": 1}\n'
    page = look(texts=nested, **{"from-text": "mail.body"})
    assert chosen(page.text, "text") == "mail.body"
    assert "<dt>Items</dt><dd>1</dd>" in page.text
    sent = look("/submit", texts=nested, **{"from-text": "mail.body"})
    assert sent.url.path.startswith("/jobs/")


def cost(page):
    return re.search(r"<dt>Expected cost</dt><dd>(\$[0-9.]+)</dd>", page.text)


def alone(page):
    """Return the dollars that the top tier alone would take: they follow the prompts, and no guess."""
    return float(re.search(r"<dt>The top tier alone</dt><dd>\$([0-9.]+)</dd>", page.text)[1])


def test_the_estimate_is_the_one_that_is_kept_with_the_job(look):
    seen = cost(look())
    assert seen
    sent = look("/submit", **{"from-text": "body"})
    assert f"expected {seen[1]} (" in sent.text


def test_the_estimate_follows_what_is_read(look):
    assert alone(look()) > alone(look(**{"from-text": "lang"}))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param({"texts": '{"text": 1'}, "none of the 1 items can be read", id="no JSON"),
        pytest.param({"texts": '{"a": 1}', "from-text": "c"}, "no item of the input has `text`", id="no column"),
        pytest.param({"id_field": "key"}, "the input has no field &#39;key&#39;", id="no ids"),
        pytest.param({"profile": "nobody"}, "nobody", id="no profile"),
    ],
)
def test_what_stands_in_the_way_is_said_before_the_button(look, fields, said):
    page = look(**fields)
    assert page.status_code == 200
    assert said in page.text
    assert cost(page) is None


def test_rows_that_cannot_be_read_and_words_that_are_no_page_are_shown_as_text(look):
    page = look(texts='{"text": "<b>bold</b>"}\n{broken\n')
    assert "<b>bold" not in page.text
    assert "&lt;b&gt;bold" in page.text
    assert "1 of 2 items cannot be read" in page.text


def test_without_items_there_is_nothing_to_show(look):
    assert "The first" not in look(texts="").text


def test_a_viewer_is_refused(house):
    client = house.client()
    client.post("/login", data={"token": house.token(Role.VIEWER)})
    guard = re.search(r'name="guard" value="([0-9a-f]{64})"', client.get("/submit").text)
    answer = client.post("/submit/preview", data={"guard": guard[1], "workflow": "sort", "texts": ROWS})
    assert answer.status_code == 403
