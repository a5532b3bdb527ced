"""The table of a job's items: what of them is seen, in which order, and what its address says."""

import re

import pytest

from firstline.orchestrator import api
from firstline.orchestrator.store.tables import ItemRow
from firstline.orchestrator.web.pages.items import first_words, page_numbers
from tests.unit.web_house import build_house

_item = ItemRow.__table__


@pytest.fixture
def house(tmp_path, monkeypatch):
    return build_house(tmp_path, monkeypatch)


@pytest.fixture
def job(house):
    """A job of 120 items; the higher an item's number the less it cost."""
    job = house.submit(120)
    with api.engine().db.writing() as tx:
        for n in range(120):
            tx.execute(_item.update().where(_item.c.job == job, _item.c.n == n).values(cost_usd=1.0 / (n + 1)))
        changed = {"state": "failed", "reason": "no answer fits"}
        tx.execute(_item.update().where(_item.c.job == job, _item.c.n == 7).values(**changed))
    return job


def shown(text):
    return re.findall(r'<th scope="row"><a href="[^"]+">([^<]+)</a>', text)


def test_the_address_says_order_page_and_filter(house, job):
    client = house.client()
    assert shown(client.get(f"/jobs/{job}?sort=cost&page=3").text) == [f"i{n}" for n in range(100, 120)]
    assert shown(client.get(f"/jobs/{job}?state=failed").text) == ["i7"]
    assert shown(client.get(f"/jobs/{job}?text=i11&sort=cost").text) == ["i11", *(f"i{n}" for n in range(110, 120))]


def test_the_part_tells_the_browser_the_address_of_what_it_shows(house, job):
    part = house.client().get(f"/jobs/{job}/items", params={"state": "", "tier": "", "text": "i1", "sort": "cost"})
    assert part.headers["hx-replace-url"] == f"/jobs/{job}?text=i1&sort=cost"
    assert house.client().get(part.headers["hx-replace-url"]).text.count('value="i1"') == 1


def test_a_page_beyond_the_last_is_the_last(house, job):
    assert shown(house.client().get(f"/jobs/{job}?page=999").text)[-1] == "i119"


@pytest.mark.parametrize("wrong", ["sort=price", "page=0", "state=%00", "text=" + "x" * 101])
def test_what_is_no_order_page_or_filter_is_a_sentence(house, job, wrong):
    answer = house.client().get(f"/jobs/{job}?{wrong}")
    assert answer.status_code == 422
    assert "Traceback" not in answer.text


def test_an_item_shows_how_its_input_begins_and_why_it_failed(house, job):
    text = house.client().get(f"/jobs/{job}?text=i7").text
    assert re.search(r'class="words"[^>]*>text 7<', text)
    assert "no answer fits" in text


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"text": "Where  is\nit?"}, "Where is it?"),
        ({"topic": "returns", "urgent": True}, "topic: returns · urgent: true"),
        ([1, "b"], '[1, "b"]'),
        (None, ""),
        ("x" * 200, "x" * 89 + "…"),
    ],
)
def test_first_words(value, words):
    assert first_words(value) == words


@pytest.mark.parametrize(
    ("page", "last", "numbers"),
    [(1, 1, [1]), (1, 3, [1, 2, 3]), (5, 40, [1, None, 3, 4, 5, 6, 7, None, 40]), (40, 40, [1, None, 38, 39, 40])],
)
def test_page_numbers(page, last, numbers):
    assert list(page_numbers(page, last)) == numbers
