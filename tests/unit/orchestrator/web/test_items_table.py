"""The table of a job's items: what of them is seen, in which order, and what its address says."""

import html
import re
from urllib.parse import parse_qs, urlsplit

import pytest

from firstline.orchestrator import api
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.tables import AttemptRow, ItemRow
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
    return re.findall(r'<th scope="row"><a href="[^"]+/items/\d+">([^<]+)</a>', text)


def test_the_address_says_order_page_and_filter(house, job):
    client = house.client()
    assert shown(client.get(f"/jobs/{job}?sort=cost&page=3").text) == [f"i{n}" for n in range(100, 120)]
    assert shown(client.get(f"/jobs/{job}?state=failed").text) == ["i7"]
    assert shown(client.get(f"/jobs/{job}?text=i11&sort=cost").text) == ["i11", *(f"i{n}" for n in range(110, 120))]


@pytest.fixture
def faulty(house, job):
    """The job's name, after items 3 and 4 met faults of one model, and item 4 one of another model too."""
    met = [(3, "off_schema", "openai/small"), (4, "off_schema", "openai/small"), (4, "checks", "openai/big")]
    with api.engine().db.writing() as tx:
        for at, (n, error, model) in enumerate(met):
            call = {"job": job, "item": n, "step": "first", "n": at, "tier": "cheap", "model": model, "error": error}
            told = AttemptRow(**call, purpose="answer", started_at=now(), latency_s=0.1, verdict="retry", worker="w")
            tx.execute(AttemptRow.__table__.insert().values(**told.model_dump()))
    return job


def links_of(text, path):
    return [html.unescape(link) for link in re.findall(r'href="([^"]+)"', text) if path in link and "error=" in link]


def test_each_fault_leads_to_the_items_that_met_it(house, faulty):
    client = house.client()
    links = links_of(client.get(f"/jobs/{faulty}").text, faulty)
    assert [shown(client.get(link).text) for link in links] == [["i3", "i4"], ["i4"]]
    assert [parse_qs(urlsplit(link).query) for link in links] == [
        {"error": ["off_schema"], "model": ["openai/small"]},
        {"error": ["checks"], "model": ["openai/big"]},
    ]


def test_faults_across_jobs_name_the_jobs_and_lead_to_their_items(house, faulty):
    client = house.client()
    first, *_ = links_of(client.get("/failures").text, faulty)
    assert shown(client.get(first).text) == ["i3", "i4"]


def test_a_fault_is_chosen_by_itself_and_with_other_filters(house, faulty):
    client = house.client()
    assert shown(client.get(f"/jobs/{faulty}?error=checks").text) == ["i4"]
    assert shown(client.get(f"/jobs/{faulty}?error=off_schema&text=i3").text) == ["i3"]
    assert shown(client.get(f"/jobs/{faulty}?error=rate_limit").text) == []
    page = client.get(f"/jobs/{faulty}?error=checks").text
    assert re.search(r'<option value="checks" selected>', page)


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
