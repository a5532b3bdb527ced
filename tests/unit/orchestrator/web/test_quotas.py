"""A tenant has its share and no more: jobs and items at once, streams of a token."""

import gc
import re
from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace

import pytest
from starlette.requests import Request

from firstline.orchestrator import api
from firstline.orchestrator.core import tokens
from firstline.orchestrator.web import access
from firstline.orchestrator.web.access import Visitor, counted
from firstline.orchestrator.web.api.chat import _submit_served
from firstline.orchestrator.web.api.chat_request import ChatRequest
from firstline.orchestrator.web.api.top_model import top_models
from firstline.orchestrator.web.catalogues import current_catalogue
from firstline.orchestrator.web.problem import Refusal
from firstline.orchestrator.web.rates import OpenStream
from firstline.schemas.access import Role
from tests.unit.web_house import WORKFLOW, build_house


def submit(house, token: str, items: int = 2):
    body = {"workflow": "two-steps", "items": [{"id": f"i{n}", "text": f"text {n}"} for n in range(items)]}
    return house.client(token).post("/v1/jobs", json=body)


def test_a_tenant_with_as_many_jobs_as_it_may_have_waits_and_others_do_not(tmp_path, monkeypatch):
    house = build_house(tmp_path, monkeypatch, TENANT_JOBS="2")
    one, other = house.token(Role.SUBMITTER, "one"), house.token(Role.SUBMITTER, "other")
    first, second, third = (submit(house, one) for _ in range(3))
    assert [answer.status_code for answer in (first, second, third)] == [201, 201, 429]
    assert "'one' has 2 jobs that have not ended" in third.json()["detail"]
    assert int(third.headers["retry-after"]) > 0
    assert submit(house, other).status_code == 201
    api.cancel(first.json()["job"])
    assert submit(house, one).status_code == 201


def test_a_tenant_has_no_more_items_at_work_than_it_may_and_what_is_refused_leaves_nothing(tmp_path, monkeypatch):
    house = build_house(tmp_path, monkeypatch, TENANT_ITEMS="5")
    token = house.token(Role.SUBMITTER, "one")
    assert submit(house, token, items=3).status_code == 201
    refused = submit(house, token, items=3)
    assert refused.status_code == 429
    assert "at most 2 items" in refused.json()["detail"]
    assert len(api.jobs()) == 1
    assert submit(house, token, items=2).status_code == 201


def test_what_is_tried_and_what_a_family_serves_counts_as_any_job(tmp_path, monkeypatch):
    house = build_house(tmp_path, monkeypatch, TENANT_JOBS="1")
    token = house.token(Role.OPERATOR, "one")
    assert submit(house, token).status_code == 201
    browser = house.client()
    browser.post("/login", data={"token": token})
    guard = re.search(r'name="guard" value="([0-9a-f]{64})"', browser.get("/submit").text)[1]
    form = {"guard": guard, "yaml": WORKFLOW, "step": "first", "sample": '{"text": "hello"}'}
    assert "&#39;one&#39; has 1 jobs that have not ended" in browser.post("/workflows/try", data=form).text
    asked: list[Role] = []
    monkeypatch.setattr(api, "submit", lambda request, _: asked.append(request.role))
    monkeypatch.setattr("firstline.orchestrator.quality.families.family_skill.skill_of", lambda _: None)
    workflow_of = "firstline.orchestrator.quality.families.family_skill.workflow_of"
    monkeypatch.setattr(workflow_of, lambda _: current_catalogue(None).workflow("two-steps"))
    body = ChatRequest(model="m", messages=[{"role": "user", "content": "x"}])
    top = top_models(current_catalogue(None))["firstline/auto"]
    _submit_served(SimpleNamespace(name="f", tenant="one"), top, body, Role.SUBMITTER)
    assert asked == [Role.SUBMITTER]


def test_an_administrator_is_not_bound(tmp_path, monkeypatch):
    house = build_house(tmp_path, monkeypatch, TENANT_JOBS="1", TENANT_ITEMS="1")
    token = house.token()
    assert [submit(house, token).status_code for _ in range(2)] == [201, 201]


def reading(request: Request) -> Iterator[str]:
    def lines(mine: OpenStream) -> Iterator[str]:
        with closing(mine):
            yield from "ab"

    return counted(request, lines)


@pytest.mark.parametrize("is_read", [True, False], ids=["read to its end", "never begun"])
def test_a_token_has_so_many_streams_at_once_and_what_is_over_counts_no_more(tmp_path, monkeypatch, is_read):
    house = build_house(tmp_path, monkeypatch, API_STREAMS="2")
    request = Request({"type": "http", "app": house.app, "headers": []})
    request.state.visitor = Visitor("Ada", Role.VIEWER, "one", "t1")
    streams = [reading(request) for _ in range(2)]
    with pytest.raises(Refusal, match="2 streams open already"):
        reading(request)
    if is_read:
        assert [*streams[0]] == ["a", "b"]
    else:
        del streams[0]
        gc.collect()
    streams.append(reading(request))
    with pytest.raises(Refusal, match="2 streams open already"):
        reading(request)
    request.state.visitor = Visitor("Bob", Role.VIEWER, "one", "t2")
    assert [*reading(request)] == ["a", "b"]


def test_results_are_streams_of_a_token(tmp_path, monkeypatch):
    house = build_house(tmp_path, monkeypatch, API_STREAMS="1")
    job = house.submit()
    client = house.client(house.token())
    # Each is over when it is read.
    assert [client.get(f"/v1/jobs/{job}/results").status_code for _ in range(3)] == [200, 200, 200]


@pytest.mark.parametrize("path", ["/v1/jobs/{job}/results", "/jobs/{job}/results.jsonl"], ids=["API", "page"])
def test_results_end_with_who_reads_them_and_count_among_their_streams(tmp_path, monkeypatch, path):
    house = build_house(tmp_path, monkeypatch, API_STREAMS="1")
    job, client = house.submit(3), house.client()
    client.post("/login", data={"token": house.token()})
    url = path.format(job=job)
    assert len(client.get(url).text.splitlines()) == 3
    monkeypatch.setattr(access, "ASKED_AGAIN_S", -1.0)
    asked = iter([True, False])
    monkeypatch.setattr(access, "still_in", lambda _: next(asked))
    assert len(client.get(url).text.splitlines()) == 1
    mine = house.app.state.doors.streams.open(tokens.listed(api.engine().db)[0].id)
    assert client.get(url).status_code == 429
    mine.close()
