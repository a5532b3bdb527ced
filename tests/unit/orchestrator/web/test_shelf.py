"""A skill's and a profile's page."""

import pytest

from firstline.orchestrator import api
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.tables import AttemptRow
from firstline.schemas.access import Role
from tests.unit.web_house import SKILL, build_house

_attempt = AttemptRow.__table__


@pytest.fixture
def house(tmp_path, monkeypatch):
    return build_house(tmp_path, monkeypatch)


def asked(job, **changes):
    row = {"job": job, "item": 0, "step": "first", "n": 0, "tier": "cheap", "model": "openai/small"}
    row |= {"started_at": now(), "latency_s": 0.5, "cost_usd": 0.25, "verdict": "accept", "skill": "sort", **changes}
    with api.engine().db.writing() as tx:
        tx.execute(_attempt.insert().values(**AttemptRow(**row).model_dump()))


def test_a_skill_shows_its_prompt_its_cost_and_where_it_is_used(house):
    job = house.submit(1, name="letters")
    asked(job)
    asked(job, n=1, skill="another", cost_usd=9.0)
    page = house.client().get("/skills/sort").text
    assert "Say what the text is about." in page
    assert "$0.2500" in page
    assert "$9" not in page
    assert f'<a href="/jobs/{job}">letters</a>' in page
    assert '<a href="/workflows/two-steps">two-steps</a>' in page


def test_a_skill_shows_its_versions_with_what_changed(house):
    kept = house.home / "skills" / "versions"
    kept.mkdir()
    (kept / "sort.v1.yaml").write_text(SKILL.replace("Say what", "Tell me what"))
    (house.home / "skills" / "sort.yaml").write_text(SKILL.replace("name: sort", "name: sort\nversion: 2"))
    page = house.client().get("/skills/sort").text
    assert "-instructions: Tell me what the text is about." in page
    assert "+instructions: Say what the text is about." in page


def test_a_skill_is_tried_from_its_page(house):
    page = house.client().get("/skills/sort").text
    assert 'hx-post="/workflows/try"' in page
    assert "name: try" in page


def test_a_profile_shows_models_prices_and_how_they_did(house):
    asked(house.submit(1))
    page = house.client().get("/profiles/house").text
    assert "openai/big" in page
    assert "no limit" in page
    assert "$0.2500" in page


def test_what_another_tenant_spent_is_not_shown(house):
    house.token()
    asked(house.submit(1, name="unseen", token=house.token(tenant="other", role=Role.SUBMITTER)))
    client = house.client(house.token(role=Role.VIEWER))
    assert "unseen" not in client.get("/skills/sort").text
    assert "$0.2500" not in client.get("/skills/sort").text + client.get("/profiles/house").text


@pytest.mark.parametrize("path", ["/skills/nope", "/profiles/nope", "/skills/..%2Fsort"])
def test_what_there_is_none_of_is_a_sentence(house, path):
    answer = house.client().get(path)
    assert answer.status_code in (404, 422)
    assert "Traceback" not in answer.text
