"""Answers under an `Idempotency-Key`: one request, one answer, and no more of them than a tenant's share of Redis."""

import pytest

from firstline.orchestrator import api
from firstline.orchestrator.web.api import kept_answers
from firstline.orchestrator.web.api.kept_answers import KeptAnswer
from firstline.orchestrator.web.problem import Refusal
from firstline.schemas.base import digest
from tests.unit.web_house import build_house


@pytest.fixture
def engine(tmp_path, monkeypatch):
    build_house(tmp_path, monkeypatch)
    return api.engine()


def place(engine, key: str = "k", *, tenant: str = "one", asked: str = "x") -> KeptAnswer:
    return KeptAnswer(engine, tenant, digest(key), digest(asked))


def keep(engine, key: str, chars: int, tenant: str = "one") -> None:
    mine = place(engine, key, tenant=tenant)
    assert mine.before() is None
    mine.keep({"text": "x" * chars})


def kept(engine, *keys: str, tenant: str = "one") -> list[str]:
    texts = {key: engine.redis.get(str(place(engine, key, tenant=tenant).key)) for key in keys}
    return [key for key, text in texts.items() if text is not None]


def test_the_same_request_again_has_the_same_answer_and_another_is_refused(engine):
    keep(engine, "k", 3)
    assert place(engine).before() == {"text": "xxx"}
    with pytest.raises(Refusal, match="used for another request"):
        place(engine, asked="other").before()
    assert place(engine, tenant="other").before() is None
    with pytest.raises(Refusal, match="still under way"):
        place(engine, tenant="other").before()


def test_beyond_a_bound_a_tenants_oldest_answers_go_and_nobody_elses(engine, monkeypatch):
    monkeypatch.setattr(kept_answers, "MOST_BYTES", 3_500)
    keep(engine, "e", 1_000, tenant="other")
    for key in ("a", "b", "c", "d", "e"):
        keep(engine, key, 1_000)
    assert kept(engine, "a", "b", "c", "d", "e") == ["c", "d", "e"]
    assert kept(engine, "e", tenant="other") == ["e"]


def test_of_an_answer_that_is_too_large_it_is_kept_that_it_was(engine, monkeypatch):
    monkeypatch.setattr(kept_answers, "LARGEST_BYTES", 500)
    keep(engine, "k", 1_000)
    with pytest.raises(Refusal, match="took more than 500 bytes and was not kept"):
        place(engine).before()
    with pytest.raises(Refusal, match="used for another request"):
        place(engine, asked="other").before()
    assert engine.redis.strlen(str(place(engine).key)) < 120
