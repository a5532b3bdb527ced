"""Large JSON bodies: read by a process of their own, few at once, and no other way than small ones."""

import asyncio
import gzip
import json
import subprocess
import threading
from contextlib import nullcontext
from io import FileIO

import anyio
import httpx
import pytest
from fastapi.routing import APIRoute

from firstline.orchestrator import api
from firstline.orchestrator.store import item_lists
from firstline.orchestrator.web import body_process, json_body
from firstline.orchestrator.web.app import _each
from firstline.orchestrator.web.json_body import JsonRoute
from firstline.schemas.access import Role
from tests.unit.web_house import House, build_house

LARGE = {"workflow": "sort", "items": [{"id": f"i{n}", "text": "x" * 500} for n in range(200)]}
JSON = {"content-type": "application/json"}


@pytest.fixture
def house(tmp_path, monkeypatch):
    return build_house(tmp_path, monkeypatch, loopback=False)


def browser(house: House, token: str) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {token}"}
    return httpx.AsyncClient(transport=httpx.ASGITransport(house.app), base_url="http://testserver", headers=headers)


def test_a_large_job_is_read_by_a_process_and_no_other_way_than_a_small_one(house, monkeypatch):
    run, asked = subprocess.run, list[tuple[str, ...]]()

    def noted(command, **options):
        asked.append(command)
        return run(command, **options)

    monkeypatch.setattr(subprocess, "run", noted)
    odd = {"id": "\ud83d\ude00 \ud800", "text": 'Ä\u2028\n"', "n": [1, 2.5, -3e2, None, True, {"a": {}}, 10**30]}
    client = house.client(house.token(Role.SUBMITTER))
    small, large = (
        client.post("/v1/jobs", content=json.dumps({"workflow": "sort", "items": [odd, *more]}), headers=JSON).json()
        for more in (LARGE["items"][:2], LARGE["items"])
    )
    assert (small["items"], large["items"]) == (3, 201)
    assert [body_process.__file__ in command for command in asked] == [True]
    with api.engine().db.reading() as tx:
        rows = [item_lists.items(tx, job=one["job"], limit=2) for one in (small, large)]
    alike = ("item_id", "input", "state", "reason")
    assert [[row[name] for name in alike] for row in rows[0]] == [[row[name] for name in alike] for row in rows[1]]
    assert rows[0][0]["state"] == "failed"


def test_while_one_is_read_others_are_answered_and_of_one_tenant_two_are_held(house, monkeypatch):
    read, go, at_work = json_body._read, threading.Event(), list[int]()

    def slow(*told):
        at_work.append(1)
        assert go.wait(20)
        return read(*told)

    monkeypatch.setattr(json_body, "_read", slow)
    held = house.app.state.doors.large

    async def together() -> None:
        async with browser(house, house.token(Role.SUBMITTER)) as client, anyio.create_task_group() as group:
            answers = list[int]()

            async def post() -> None:
                answers.append((await client.post("/v1/jobs", json=LARGE)).status_code)

            for _ in range(4):
                group.start_soon(post)
            with anyio.fail_after(20):
                while held.count("default") < 4 or not at_work:
                    await anyio.sleep(0.01)
                assert (await client.get("/health")).status_code == 200
            assert len(at_work) == 1
            go.set()
        assert answers == [201] * 4
        assert held.count("default") == 0

    asyncio.run(together())


def test_what_is_wrong_with_a_large_body_is_said_as_of_a_small_one(house):
    client = house.client(house.token(Role.SUBMITTER))
    for wrong in (
        {"items": "none"},
        {"items": ["none"]},
        {"nobody": 1},
        {"budget_usd": -1},
        {"name": "\ud800"},
        {"map": {"a": "\0"}},
    ):
        small, large = (
            client.post("/v1/jobs", content=json.dumps({**LARGE, **more, **wrong}), headers=JSON)
            for more in ({"items": [{"text": "x"}]}, {"items": LARGE["items"], "goal": "x" * 10, "id_field": "id"})
        )
        assert small.status_code == large.status_code == 422, (wrong, small.text, large.text)
    padded = json.dumps(LARGE)
    assert client.post("/v1/jobs", content=f"{padded}]", headers=JSON).status_code == 422
    assert client.post("/v1/jobs", content="[" * 100_000, headers=JSON).status_code in (400, 422)


@pytest.mark.parametrize("more", [0, 200])
def test_what_cannot_be_read_is_told_in_words(house, more):
    client = house.client(house.token(Role.SUBMITTER))
    padding = json.dumps(LARGE["items"][:more])[1:-1]

    def detail(text: str | bytes) -> str:
        body = text if isinstance(text, bytes) else text.replace("PADDING", padding)
        return client.post("/v1/jobs", content=body, headers=JSON).json()["detail"]

    assert "expected JSON, got what is none: " in detail('{"items": [PADDING}')
    assert detail(b"\xff\x9b" * (1 + more * 500)).startswith("expected JSON, got what cannot be read: 'utf-8' codec")
    assert detail("[" * (3_000 + more * 500)) == "expected JSON, got what cannot be read: it is nested too deep"
    assert client.post("/v1/jobs", content="", headers=JSON).json()["detail"] == "body: expected a value, got nothing"


def test_more_items_than_a_request_may_hold_are_counted_and_no_path_is_told(house):
    items = [{"text": "x"}] * 100_001
    answer = house.client(house.token(Role.SUBMITTER)).post("/v1/jobs", json={"workflow": "sort", "items": items})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "body.items: expected at most 100000 elements, got 100,001"


def test_who_may_not_is_told_so_before_what_is_wrong(house):
    client = house.client(house.token(Role.VIEWER))
    assert client.post("/v1/jobs", json={**LARGE, "nobody": 1}).status_code == 403


@pytest.mark.parametrize("value", ["[],", "{},", "0,"])
def test_a_body_of_too_many_values_is_refused_before_it_takes_many_times_its_size(house, value):
    client = house.client(house.token(Role.SUBMITTER))
    body = f'{{"workflow": "sort", "items": [{{"text": [{value * 2_000_001}0]}}]}}'
    answer = client.post("/v1/jobs", content=body, headers=JSON)
    assert answer.status_code == 413
    assert "upload them as a file" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("bound", "value", "said"),
    [("_ROOM", 40_000_000, "takes more than 40 MB to read"), ("_READ_S", 0.001, "could not be read within 0.001 s")],
)
def test_a_body_that_takes_too_much_to_read_is_refused(house, monkeypatch, bound, value, said):
    monkeypatch.setattr(json_body, bound, value)
    body = {"workflow": "sort", "items": [{"text": "x" * 10_000_000}]}
    answer = house.client(house.token(Role.SUBMITTER)).post("/v1/jobs", json=body)
    assert answer.status_code == 413
    assert said in answer.json()["detail"]


def test_a_small_body_that_does_not_say_its_size_takes_no_process(house, monkeypatch):
    monkeypatch.setattr(subprocess, "run", None)
    client = house.client(house.token(Role.SUBMITTER))
    parts = iter([b'{"workflow": "sort", "items": [', b'{"text": "x"}, {"text": "y"}]}'])
    assert client.post("/v1/jobs", content=parts, headers=JSON).json()["items"] == 2


@pytest.mark.parametrize(("depth", "status"), [(300, 201), (900, 201), (1_000, 400), (50_000, 400)])
def test_of_a_large_body_that_is_nested_deep_its_item_fails_or_it_is_refused(house, depth, status):
    deep = f'[{{"text": {"[" * depth}{"]" * depth}}}, {json.dumps(LARGE["items"])[1:]}'
    body = f'{{"workflow": "sort", "items": {deep}}}'
    answer = house.client(house.token(Role.SUBMITTER)).post("/v1/jobs", content=body, headers=JSON)
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("name", ["a body", "its items"])
def test_a_disk_without_room_is_told(house, monkeypatch, tmp_path, name):
    if name == "a body":
        monkeypatch.setattr(json_body, "TemporaryFile", lambda **_: FileIO("/dev/full", "r+b"))
    else:
        # A folder that is not there is as good as one that takes nothing.
        monkeypatch.setattr(json_body, "TemporaryDirectory", lambda **_: nullcontext(tmp_path / "gone"))
    answer = house.client(house.token(Role.SUBMITTER)).post("/v1/jobs", json=LARGE)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert "cannot be put down while it is read (No " in answer.json()["detail"]


def test_values_beside_the_items_are_few(house):
    client = house.client(house.token(Role.SUBMITTER))
    answer = client.post("/v1/jobs", json={**LARGE, "map": {f"f{n}": "text" for n in range(100_001)}})
    assert answer.status_code == 413
    assert "more than 100,000 values beside its items" in answer.json()["detail"]


def test_an_upload_is_never_read_into_memory_for_the_kind_that_it_names(house):
    client = house.client(house.token(Role.SUBMITTER))
    # "json" stands in the boundary: what is read as a form was read once more as JSON.
    kind = {"content-type": "multipart/form-data; boundary=json"}
    part = '--json\r\ncontent-disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
    body = part % ("workflow", "", "sort") + part % ("file", '; filename="x.jsonl"', '{"text": "x"}') + "--json--\r\n"
    assert client.post("/v1/jobs/upload", content=body, headers=kind).status_code == 201
    assert client.post("/v1/jobs/upload", content=json.dumps(LARGE), headers=JSON).status_code == 422


@pytest.mark.parametrize("name", ["x.jsonl.gz", "x.gz", "x.jsonl"])
def test_a_packed_upload_is_taken_and_no_more_of_it_than_an_upload_may_be(tmp_path, monkeypatch, name):
    house = build_house(tmp_path, monkeypatch, loopback=False, API_MAX_UPLOAD_MB="0.1")
    client = house.client(house.token(Role.SUBMITTER))

    def upload(text: str) -> httpx.Response:
        return client.post(
            "/v1/jobs/upload", data={"workflow": "sort"}, files={"file": (name, gzip.compress(text.encode()))}
        )

    assert upload('{"text": "x"}\n' * 10).json()["items"] == 10
    bomb = upload(" " * 1_000_000)
    assert bomb.status_code == 422
    assert "larger than 0.1 MB unpacked" in bomb.json()["detail"]


def test_every_route_that_takes_json_reads_large_bodies_aside(house):
    taking = [
        route for route in _each(house.app.routes) if isinstance(route, APIRoute) and json_body._takes_json(route)
    ]
    assert len(taking) > 10
    assert [route.path for route in taking if not isinstance(route, JsonRoute)] == []
