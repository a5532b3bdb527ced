"""Every route with every role of every tenant, generated from the router: a new route is in it by itself."""

import re
from collections.abc import Iterator

import pytest
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from firstline.schemas.access import Role
from tests.unit.web_house import House, build_house

#: What everybody may ask for.
_OPEN = {"/health", "/openapi.json", "/login"}
#: What tells of the whole deployment.
_WATCHED = ("/metrics", "/v1/scaling", "/v1/audit-log")
_SECRET = "the-secret-of-tenant-a"


def routes(house: House) -> list[tuple[str, str]]:
    """Return method and path of every route, of included routers too."""

    def found(route: BaseRoute) -> Iterator[APIRoute]:
        if isinstance(route, APIRoute):
            yield route
        for inner in getattr(getattr(route, "original_router", route), "routes", ()) or ():
            yield from found(inner)

    every = [route for top in house.app.routes for route in found(top)]
    return [(method, route.path) for route in every for method in sorted(route.methods - {"HEAD", "OPTIONS"})]


def filled(path: str, job: str) -> str:
    """Return a path about a job of tenant a."""
    values = {"job": job, "item": "0", "name": "sort", "comparison": "none", "model": "firstline/sort"}
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda hole: values.get(hole[1], "x"), path)


@pytest.fixture
def house(tmp_path, monkeypatch):
    return build_house(tmp_path, monkeypatch, loopback=False)


@pytest.fixture
def job(house):
    """A job of tenant a whose items, name and id no other tenant may see; it has ended, so that no stream goes on."""
    operator = house.client(house.token(Role.OPERATOR, "a"))
    body = {"workflow": "sort", "name": _SECRET, "items": [{"id": _SECRET, "text": _SECRET}]}
    job = operator.post("/v1/jobs", json=body).json()["job"]
    assert operator.post(f"/v1/jobs/{job}/cancel").status_code == 200
    return job


def test_the_matrix_has_every_route(house):
    known = {path for _, path in routes(house)}
    assert len(known) > 60
    assert {
        "/v1/jobs",
        "/v1/jobs/{job}/results",
        "/v1/audits",
        "/v1/calibrations",
        "/v1/audit-log",
        "/jobs/{job}",
    } <= known


def test_no_route_answers_without_a_token(house, job):
    client = house.client(follow_redirects=False)
    answers = {(method, path): client.request(method, filled(path, job), json={}) for method, path in routes(house)}
    assert [key for key, answer in answers.items() if answer.status_code < 300 and key[1] not in _OPEN] == []
    assert [key for key, answer in answers.items() if answer.status_code >= 500] == []


@pytest.mark.parametrize("role", [Role.VIEWER, Role.SUBMITTER, Role.OPERATOR], ids=str)
def test_nothing_of_one_tenant_is_in_any_answer_to_another(house, job, role):
    client = house.client(house.token(role, "b"), follow_redirects=False)
    browser = house.client(follow_redirects=False)
    browser.post("/login", data={"token": house.token(role, "b")})
    leaks, broken = [], []
    for method, path in routes(house):
        who = client if path.startswith("/v1") else browser
        answer = who.request(method, filled(path, job), json={})
        is_told = answer.status_code < 300 and ("{job}" in path or job in answer.text)
        leaks += [(method, path)] if _SECRET in answer.text or is_told else []
        broken += [(method, path)] if answer.status_code >= 500 else []
    assert (leaks, broken) == ([], [])


@pytest.mark.parametrize("role", [Role.VIEWER, Role.SUBMITTER, Role.OPERATOR], ids=str)
def test_no_lower_role_watches_the_whole_deployment(house, role):
    client = house.client(house.token(role, "a"))
    assert {client.get(path).status_code for path in _WATCHED} == {403}
