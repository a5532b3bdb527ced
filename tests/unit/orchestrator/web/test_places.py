"""No tenant takes all of a web process: turns, refusals that wait, and a lane for whoever asks whether it is well."""

import asyncio
import threading
import time
from functools import partial

import anyio
import httpx
import pytest

from firstline.orchestrator import api
from firstline.orchestrator.core import audit_log
from firstline.orchestrator.web import patience, places
from firstline.orchestrator.web.places import Places
from firstline.schemas.access import Role
from tests.unit.web_house import House, build_house

ITEMS = {"workflow": "sort", "items": [{"text": "x"}]}


@pytest.fixture
def house(tmp_path, monkeypatch):
    return build_house(tmp_path, monkeypatch, loopback=False)


def browser(house: House, token: str | None = None) -> httpx.AsyncClient:
    """Return a client that may have several requests under way at once."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return httpx.AsyncClient(transport=httpx.ASGITransport(house.app), base_url="http://testserver", headers=headers)


def test_so_many_of_one_name_at_once_and_others_do_not_wait():
    places, running, peak, done = Places(2), list[str](), list[int](), list[str]()

    async def work(name: str, seconds: float) -> None:
        async with places.held(name):
            running.append(name)
            peak.append(running.count("a"))
            await anyio.sleep(seconds)
            running.remove(name)
        done.append(name)

    async def together() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(work, "a", 0.05)
            group.start_soon(work, "b", 0.0)

    asyncio.run(together())
    assert max(peak) == 2
    assert done[0] == "b"
    assert places.count("a") == 0


def test_who_goes_away_while_waiting_leaves_no_place_taken():
    places = Places(1)

    async def leaving() -> None:
        async with places.held("a"):
            with anyio.move_on_after(0.01):
                async with places.held("a"):
                    raise AssertionError("there is one place")
            assert places.count("a") == 1
        async with places.held("a"):
            pass

    asyncio.run(leaving())
    assert places.count("a") == 0


def test_a_tenants_submissions_are_worked_on_two_at_a_time_and_another_tenants_beside_them(house, monkeypatch):
    a, b = (house.token(Role.SUBMITTER, tenant) for tenant in "ab")
    go, at_work, submit = threading.Event(), list[str](), api.submit

    def slow(request, *args, **options):
        at_work.append(request.options.tenant)
        if request.options.tenant == "a":
            assert go.wait(20)
        return submit(request, *args, **options)

    monkeypatch.setattr(api, "submit", slow)

    async def run() -> list[int]:
        async with browser(house, a) as flood, browser(house, b) as other:
            posts = [asyncio.create_task(flood.post("/v1/jobs", json=ITEMS)) for _ in range(6)]
            while at_work.count("a") < 2:
                await asyncio.sleep(0.01)
            beside = await other.post("/v1/jobs", json=ITEMS)
            assert at_work == ["a", "a", "b"]
            go.set()
            return [beside.status_code, *(answer.status_code for answer in await asyncio.gather(*posts))]

    assert asyncio.run(run()) == [201] * 7


def test_health_answers_although_every_thread_is_taken(house):
    async def run() -> int:
        over, limiter = threading.Event(), anyio.to_thread.current_default_thread_limiter()
        async with browser(house) as client, anyio.create_task_group() as group:
            for _ in range(int(limiter.total_tokens)):
                group.start_soon(partial(anyio.to_thread.run_sync, over.wait, 20))
            while limiter.available_tokens:
                await anyio.sleep(0.01)
            with anyio.fail_after(10):
                answer = await client.get("/health")
            over.set()
        return answer.status_code

    assert asyncio.run(run()) == 200


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/upload"])
def test_what_is_refused_again_and_again_is_told_so_later_and_does_not_fill_the_audit_log(tmp_path, monkeypatch, path):
    house = build_house(tmp_path, monkeypatch, loopback=False, API_REQUESTS_PER_MINUTE="2")
    monkeypatch.setattr(patience, "_WAIT_S", 0.05)
    admin = house.token()
    client = house.client("fl_nobody")
    for _ in range(20):
        assert client.post(path).status_code == 401
    begun = time.monotonic()
    assert [client.post(path).status_code for _ in range(4)] == [401] * 4
    assert time.monotonic() - begun > 4 * 0.05
    assert len(audit_log.deeds(api.engine().db, limit=500)) == 20
    assert house.client(admin).get("/v1/jobs").status_code == 200, "others are answered as ever"


def test_the_loop_has_its_turn_while_a_thread_reads_a_large_file(house, monkeypatch):
    turns = list[threading.Thread]()
    monkeypatch.setattr(places, "_nothing", lambda: turns.append(threading.current_thread()))
    items = "".join(f'{{"text": "text {n}"}}\n' for n in range(5_000))

    async def upload() -> httpx.Response:
        async with browser(house, house.token(Role.SUBMITTER)) as client:
            file = {"file": ("x.jsonl", items)}
            return await client.post("/v1/jobs/upload", data={"workflow": "sort"}, files=file)

    assert asyncio.run(upload()).json()["items"] == 5_000
    assert len(turns) >= 10
    assert {thread is threading.main_thread() for thread in turns} == {True}
