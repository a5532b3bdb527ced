"""What is sent is authorised before a byte of it is read: nobody fills a disk, or a parser, who may not."""

import asyncio

import pytest

from firstline.orchestrator import api
from firstline.orchestrator.core import tokens
from firstline.schemas.access import Role
from tests.unit.web_house import House, build_house


def sent(house: House, path: str, *, token: str | None = None, **headers: str) -> tuple[int, int]:
    """Send a body that never ends; return the status, and how many pieces of it were read before."""
    told = {"content-type": "multipart/form-data; boundary=x", "host": "testserver", **headers}
    if token is not None:
        told["authorization"] = f"Bearer {token}"
    scope = {
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
    read, statuses = 0, []

    async def receive() -> dict[str, object]:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": b"x" * 1000, "more_body": read < 50}

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    asyncio.run(house.app(scope, receive, send))
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
