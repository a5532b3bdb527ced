"""The MCP tools, called by the SDK's own client in one process: what they offer, do and refuse."""

import asyncio
import json

import httpx
import pytest

pytest.importorskip("mcp")

from mcp import Client
from starlette.testclient import TestClient

from firstline.config.settings import get_settings
from firstline.orchestrator import api
from firstline.orchestrator.integrations.mcp_serving import http_app
from firstline.orchestrator.integrations.mcp_tools import make_server
from firstline.orchestrator.web.access import Doors, Visitor
from firstline.schemas.access import Role
from firstline.schemas.job import ItemResult, ItemState
from tests.unit.web_house import build_house

ADA = Visitor("ada", Role.ADMIN, "default")


@pytest.fixture
def house(tmp_path, monkeypatch):
    return build_house(tmp_path, monkeypatch)


def call(name: str, arguments: dict[str, object], visitor: Visitor = ADA):
    async def ask():
        async with Client(make_server(local=visitor)) as client:
            return await client.call_tool(name, arguments)

    return asyncio.run(ask())


def said(name: str, **arguments: object):
    answer = call(name, arguments)
    assert not answer.is_error, answer.content
    return answer.structured_content


def test_every_tool_says_what_it_does_and_what_each_argument_means(house):
    async def listed():
        async with Client(make_server(local=ADA)) as client:
            return (await client.list_tools()).tools

    tools = {tool.name: tool for tool in asyncio.run(listed())}
    assert sorted(tools) == ["cancel", "list_workflows", "report", "results", "status", "submit"]
    assert all(tool.description and tool.output_schema for tool in tools.values())
    for tool in tools.values():
        assert all("description" in one for one in tool.input_schema["properties"].values()), tool.name
    assert tools["status"].annotations.read_only_hint
    assert tools["cancel"].annotations.destructive_hint


def test_workflows_are_offered_with_the_fields_of_their_items(house):
    offered = {one["name"]: one for one in said("list_workflows")["workflows"]}
    assert offered["two-steps"]["kind"] == "workflow"
    assert list(offered["sort"]["fields"]) == ["text"]

    async def read():
        async with Client(make_server(local=ADA)) as client:
            return (await client.read_resource("firstline://workflows")).contents[0].text

    assert json.loads(asyncio.run(read())) == said("list_workflows")


def test_a_job_is_submitted_once_under_its_key_watched_reported_and_cancelled(house):
    order = {"workflow": "sort", "items": [{"text": "a"}, {"text": "b"}], "idempotency_key": "k"}
    job = said("submit", **order)["job"]
    assert said("submit", **order)["job"] == job
    status = said("status", job=job)
    assert (status["state"], status["items"]) == ("submitted", 2)
    assert said("report", job=job)["items"] == 2
    assert said("cancel", job=job)["state"] == "cancelled"


def test_results_come_in_pages_that_are_never_too_long_for_a_model(house, monkeypatch):
    job = said("submit", workflow="sort", items=[{"id": f"i{n}", "text": f"t{n}"} for n in range(5)])["job"]
    page = said("results", job=job, limit=2)
    assert [one["item_id"] for one in page["results"]] == ["i0", "i1"]
    assert page["next_skip"] == 2
    last = said("results", job=job, skip=4)
    assert [one["item_id"] for one in last["results"]] == ["i4"]
    assert last["next_skip"] is None
    long = [ItemResult(item_id=str(n), status=ItemState.SETTLED, output="x" * 40_000) for n in range(5)]
    monkeypatch.setattr(api, "results", lambda job, *, skip: iter(long[skip:]))
    assert len(said("results", job=job)["results"]) == 1


@pytest.mark.parametrize(
    ("tool", "arguments", "sentence"),
    [
        pytest.param("status", {"job": "0101-ab"}, "there is no job '0101-ab'", id="an unknown job"),
        pytest.param("status", {"job": "a b"}, "job: expected text that matches", id="an id that is none"),
        pytest.param("results", {"job": "x", "limit": 0}, "limit: expected at least 1, got 0", id="an empty page"),
        pytest.param("submit", {"items": 3, "workflow": "sort"}, "items: expected a list, got 3", id="no list"),
        pytest.param("submit", {"workflow": "sort"}, "no items", id="no items"),
        pytest.param("submit", {"workflow": "srot", "items": [{"text": "a"}]}, "did you mean 'sort'", id="a typo"),
        pytest.param("submit", {"workflow": "../x", "items": [{"text": "a"}]}, "expected text that", id="a path"),
        pytest.param("submit", {}, "expected `workflow` (a name or steps) or `goal`", id="neither"),
    ],
)
def test_what_will_not_do_is_told_in_a_sentence(house, tool, arguments, sentence):
    answer = call(tool, arguments)
    assert answer.is_error
    assert sentence in answer.content[0].text
    assert "Traceback" not in answer.content[0].text
    assert "pydantic" not in answer.content[0].text


def test_roles_and_tenants_hold_for_tools_too(house):
    job = said("submit", workflow="sort", items=[{"text": "a"}])["job"]
    viewer = Visitor("v", Role.VIEWER, "default")
    assert "takes the role operator" in call("cancel", {"job": job}, viewer).content[0].text
    stranger = Visitor("s", Role.OPERATOR, "other")
    assert "there is no job" in call("results", {"job": job}, stranger).content[0].text


def test_over_http_nobody_without_a_token_gets_to_the_tools(house):
    doors = Doors(get_settings(), loopback=False)
    with TestClient(http_app(doors, host="0.0.0.0", body_mb=1)) as client:
        refused = client.post("/mcp", json={}, headers={"authorization": "Bearer wrong"})
        assert refused.status_code == httpx.codes.UNAUTHORIZED
        assert "firstline token create" in refused.json()["detail"]
