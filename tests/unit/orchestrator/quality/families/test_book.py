"""The book of families: what is noted is found again, variants of a prompt are one family, money is counted once."""

import time
from dataclasses import replace

import pytest

from firstline.config.settings import Settings, get_settings
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.quality.families import listing
from firstline.orchestrator.quality.families.book import Book, Noted
from firstline.orchestrator.quality.families.listing import FamilyChange, standings
from firstline.orchestrator.quality.families.shadow import look_after
from firstline.orchestrator.quality.families.signature import signature_of
from firstline.orchestrator.store import families
from firstline.orchestrator.store.migrate import migrate

FORM = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"enum": ["a", "b"]}}}


@pytest.fixture
def engine(tmp_path):
    made = Context(Settings(database_url=f"sqlite:///{tmp_path / 'f.db'}", shadow_share=1.0), producer=True)
    migrate(made.db)
    yield made
    made.db.close()


@pytest.fixture
def book(engine):
    made = Book(engine)
    made.start()
    yield made
    made.stop()


def asked(system, **more):
    request = {"messages": [{"role": "system", "content": system}, {"role": "user", "content": "x"}], **more}
    return signature_of(request, tenant="default", model="openai/top", profile="p")


def noted(signature, **more):
    return Noted(signature, served=False, usd=0.01, messages=[{"role": "user", "content": "x"}], answer="a", **more)


def rows(engine):
    with engine.db.reading() as tx:
        return families.listed(tx)


def test_ten_thousand_variants_of_a_prompt_are_one_family(engine, book):
    letter = "You are {} of a bank. Write a short and friendly reply to the question of the customer, please."
    began = time.perf_counter()
    for n in range(10_000):
        book.note(noted(asked(letter.format(f"agent{n}x"), response_format=FORM)))
    book.stop()
    (family,) = rows(engine)
    assert "agent" not in family["prompt"]
    assert family["requests"] == 10_000
    assert family["top_usd"] == pytest.approx(100)
    with engine.db.reading() as tx:
        assert families.passed_on_usd(tx, tenant="default") == pytest.approx(100)
        assert families.by_state(tx, state="waiting") == {family["id"]: 400}
    assert time.perf_counter() - began < 60


def test_what_another_process_wrote_is_found(engine, book):
    other = Book(engine)
    other.start()
    mine = asked("You sort tickets.", response_format=FORM)
    other.note(noted(mine))
    other.stop()
    deadline = time.monotonic() + 5
    while book.find(mine) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert book.find(mine).prompt == "You sort tickets."
    assert book.find(asked("You write poems.", response_format=FORM)) is None


def test_what_is_excluded_keeps_no_request(engine, book, monkeypatch):
    monkeypatch.setattr(listing.api, "engine", lambda: engine)
    mine = asked("You sort tickets.", response_format=FORM)
    book.note(noted(mine))
    book.stop()
    (family,) = standings()
    listing.change(family.id[:6], FamilyChange(choice="excluded"))
    again = Book(engine)
    again.start()
    again.note(noted(mine))
    again.stop()
    with engine.db.reading() as tx:
        assert families.by_state(tx, state="waiting") == {}
    assert standings()[0].requests == 2


def test_the_shadow_of_a_tenants_family_finds_the_tenants_own_profile(engine, book, tmp_path, monkeypatch):
    tiers = tmp_path / "home" / "tenants" / "default" / "tiers"
    tiers.mkdir(parents=True)
    (tiers / "p.yaml").write_text("name: p\ntiers: [{name: top, models: [{name: openai/top}]}]\n")
    monkeypatch.setenv("FIRSTLINE_HOME", str(tmp_path / "home"))
    get_settings.cache_clear()
    book.note(noted(asked("You sort tickets.", response_format=FORM)))
    book.stop()
    look_after(engine)
    get_settings.cache_clear()
    (family,) = rows(engine)
    assert family["why"] == "the profile 'p' has no tier below openai/top"


def test_a_family_that_cannot_be_looked_after_keeps_no_other_from_it(engine, book, tmp_path, monkeypatch):
    home = tmp_path / "home" / "tiers"
    home.mkdir(parents=True)
    (home / "p.yaml").write_text("name: p\ntiers: [{name: top, models: [{name: openai/top}]}]\n")
    monkeypatch.setenv("FIRSTLINE_HOME", str(tmp_path / "home"))
    get_settings.cache_clear()
    for system in ("You sort tickets.", "Name the language of this text."):
        book.note(noted(asked(system, response_format=FORM)))
    book.stop()
    first, second = (row["id"] for row in rows(engine))
    with engine.db.writing() as tx:
        families.change(tx, family=first, state="of newer code")
    look_after(engine)
    get_settings.cache_clear()
    assert {row["id"]: row["why"] for row in rows(engine)}[second] == "the profile 'p' has no tier below openai/top"


def test_a_request_that_cannot_be_written_down_costs_no_other_its_account(engine):
    book = Book(engine)
    good, bad = asked("You sort tickets.", response_format=FORM), asked("Name the language.", response_format=FORM)
    for one in (noted(good), replace(noted(bad), answer="a\ud800"), noted(good)):
        book.note(one)
    book.start()
    book.stop()
    assert {row["prompt"]: row["requests"] for row in rows(engine)} == {"You sort tickets.": 2}
