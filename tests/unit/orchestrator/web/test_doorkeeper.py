"""What is sent is authorised before a byte of it is read: nobody fills a disk, or a parser, who may not."""

import asyncio
from contextlib import suppress

import pytest

from firstline.orchestrator import api
from firstline.orchestrator.core import tokens
from firstline.schemas.access import Role
from tests.unit.web_house import House, build_house


def scope_of(path: str, *, token: str | None = None, **headers: str) -> dict[str, object]:
    told = {"content-type": "multipart/form-data; boundary=x", "host": "testserver", **headers}
    if token is not None:
        told["authorization"] = f"Bearer {token}"
    return {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in told.items()],
        "server": ("testserver", 80),
        "client": ("203.0.113.9", 1),
        "scheme": "http",
        "http_version": "1.1",
    }


def sent(house: House, path: str, *, token: str | None = None, **headers: str) -> tuple[int, int]:
    """Send a body that never ends; return the status, and how many pieces of it were read before."""
    read, statuses = 0, []

    async def receive() -> dict[str, object]:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": b"x" * 1000, "more_body": read < 50}

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    asyncio.run(house.app(scope_of(path, token=token, **headers), receive, send))
    return int(str(statuses[0])), read


@pytest.fixture
def house(tmp_path, monkeypatch):
    return build_house(tmp_path, monkeypatch, loopback=False, API_REQUESTS_PER_MINUTE="2")


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/upload", "/v1/chat/completions", "/v1/comparisons", "/submit"])
def test_what_a_stranger_sends_is_not_read(house, path):
    revoked, token = tokens.create(api.engine().db, name="gone", role=Role.ADMIN, tenant="a")
    tokens.revoke(api.engine().db, token.id)
    for one in (None, "fl_nobody", revoked):
        status, read = sent(house, path, token=one, cookie="firstline=none")
        assert (status, read) == (303 if path == "/submit" else 401, 0)


def test_an_upload_of_who_may_not_submit_is_not_read(house):
    assert sent(house, "/v1/jobs/upload", token=house.token(Role.VIEWER)) == (403, 0)
    status, read = sent(house, "/v1/jobs/upload", token=house.token(Role.SUBMITTER))
    assert status < 500
    assert read > 0


def test_what_comes_too_fast_is_not_read_and_counts_once(house):
    token = house.token(Role.SUBMITTER)
    answers = [sent(house, "/v1/jobs", token=token) for _ in range(3)]
    assert [read > 0 for _, read in answers] == [True, True, False]
    assert answers[-1] == (429, 0)


def test_a_log_in_is_as_long_as_a_token(house):
    assert sent(house, "/login", content_length="20000") == (413, 0)
    assert sent(house, "/login") == (413, 0)


PART = b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'


def uploads(house: House, tokens_of: list[str], *, mb_each: float = 0.0) -> tuple[list[bool], list[int]]:
    """Send uploads at once that hang after their first piece; return which were begun, and how each was answered."""
    begun, statuses, over = [False] * len(tokens_of), [0] * len(tokens_of), asyncio.Event()

    async def upload(number: int, token: str) -> None:
        async def receive() -> dict[str, object]:
            if not begun[number]:
                begun[number] = True
                return {"type": "http.request", "body": PART + b"x" * int(mb_each * 1e6), "more_body": True}
            await over.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                statuses[number] = int(str(message["status"]))

        with suppress(Exception):  # who goes away in the middle is told nothing
            await house.app(scope_of("/v1/jobs/upload", token=token), receive, send)

    async def run() -> list[bool]:
        running = [asyncio.create_task(upload(number, token)) for number, token in enumerate(tokens_of)]
        for _ in range(100):
            await asyncio.sleep(0.02)
            if sum(begun) == len(begun):
                break
        seen = list(begun)
        over.set()
        await asyncio.wait(running, timeout=20)
        return seen

    return asyncio.run(run()), statuses


def test_two_uploads_of_a_tenant_are_read_at_once_and_anothers_beside_them(tmp_path, monkeypatch):
    house = build_house(tmp_path, monkeypatch, loopback=False)
    one, other = house.token(Role.SUBMITTER, "one"), house.token(Role.SUBMITTER, "other")
    seen, _ = uploads(house, [one, one, one, other])
    assert seen[3]
    assert sum(seen[:3]) == 2


def test_all_uploads_together_take_no_more_than_the_spool_has(tmp_path, monkeypatch):
    house = build_house(tmp_path, monkeypatch, loopback=False, API_MAX_SPOOL_MB="1")
    tokens_of = [house.token(Role.SUBMITTER, f"t{n}") for n in range(3)]
    _, statuses = uploads(house, tokens_of, mb_each=0.4)
    assert statuses.count(503) == 1
    # Those that have ended take none of it.
    _, statuses = uploads(house, tokens_of[:2], mb_each=0.4)
    assert 503 not in statuses
