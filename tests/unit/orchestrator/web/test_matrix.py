"""Every route with every role of every tenant, generated from the router: a new route is in it by itself."""

import re

import pytest

from firstline.orchestrator import api
from firstline.orchestrator.core import tokens
from firstline.orchestrator.web.access import COOKIE, form_guard
from firstline.schemas.access import Role
from tests.unit.web_house import PROFILE, SKILL, WORKFLOW, House, build_house, filled, routes

#: What everybody may ask for.
_OPEN = {"/health", "/openapi.json", "/login"}
#: What tells of the whole deployment.
_WATCHED = ("/metrics", "/v1/scaling", "/v1/audit-log")
#: What a viewer may send, though it is not only looking: its own session's end, and questions that take a body.
_HARMLESS = {("POST", "/login"), ("POST", "/logout")}
_SECRET = "the-secret-of-tenant-a"
_LOWER = pytest.mark.parametrize("role", [Role.VIEWER, Role.SUBMITTER, Role.OPERATOR], ids=str)


class Visit:
    """Somebody with a token, who asks the API with it and the pages with a browser's session and its forms' guard."""

    def __init__(self, house: House, token: str) -> None:
        self.client = house.client(token, follow_redirects=False)
        self.token = token
        self.browser = house.client(follow_redirects=False)
        self.log_in()

    def log_in(self) -> None:
        self.browser.post("/login", data={"token": self.token})

    def ask(self, method: str, path: str, job: str, name: str = "sort"):
        url = filled(path, job, name)
        body = {"workflow": name, "skill": name, "profile": name, "items": [{"text": "x"}], "models": ["openai/small"]}
        if path.startswith("/v1"):
            return self.client.request(method, url, json={} if method == "GET" else body)
        guard = form_guard(self.browser.cookies.get(COOKIE, ""))
        form = {key: value for key, value in body.items() if isinstance(value, str)} | {"guard": guard}
        answer = self.browser.request(method, url, data=None if method == "GET" else form)
        if path == "/logout":
            self.log_in()
        return answer


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


@pytest.fixture
def belongings(house):
    """What tenant a alone has in the catalogue."""
    for folder, text in (("tiers", PROFILE), ("skills", SKILL), ("workflows", WORKFLOW)):
        place = house.home / "tenants" / "a" / folder
        place.mkdir(parents=True)
        (place / f"{_SECRET}.yaml").write_text(re.sub(r"(?m)^name: .*", f"name: {_SECRET}", text))


def test_the_matrix_has_every_route(house):
    known = {path for _, path in routes(house.app)}
    assert len(known) > 60
    assert {
        "/v1/jobs",
        "/v1/jobs/{job}/results",
        "/v1/audits",
        "/v1/calibrations",
        "/v1/audit-log",
        "/jobs/{job}",
    } <= known


def ended(house: House) -> tuple[str | None, ...]:
    """Return no token, one that was revoked, one whose time is over, and one that never was."""
    revoked, token = tokens.create(api.engine().db, name="gone", role=Role.ADMIN, tenant="a")
    tokens.revoke(api.engine().db, token.id)
    return None, revoked, house.token(Role.ADMIN, "a", days=-1), "fl_" + "x" * 40


def test_no_route_answers_without_a_token_in_force(house, job):
    answered, broken = [], []
    for token in ended(house):
        client = house.client(token, follow_redirects=False)
        for method, path in routes(house.app):
            answer = client.request(method, filled(path, job), json={})
            answered += [(method, path)] if answer.status_code < 300 and path not in _OPEN else []
            broken += [(method, path)] if answer.status_code >= 500 else []
    assert (answered, broken) == ([], [])


def test_whatever_may_change_something_is_in_the_audit_log_by_its_name(house, job):
    visit = Visit(house, house.token(Role.ADMIN, "a"))
    unwritten = []
    for method, path in routes(house.app):
        if method != "GET":
            visit.ask(method, path, job)
            # Logging out is followed by logging in again.
            log = house.client(visit.token).get("/v1/audit-log", params={"limit": 2}).json()
            unwritten += [(method, path)] if f"{method} {path}" not in [one["action"] for one in log] else []
    assert unwritten == []


@_LOWER
def test_nothing_of_one_tenant_is_in_any_answer_to_another(house, job, belongings, role):
    visit = Visit(house, house.token(role, "b"))
    leaks, broken = [], []
    for method, path in routes(house.app):
        for name in ("sort", _SECRET):
            answer = visit.ask(method, path, job, name)
            text = answer.text.replace(filled(path, job, name), "")
            is_told = answer.status_code < 300 and ("{job}" in path or job in text)
            # What was asked for by name may be named in the refusal, and nowhere else.
            is_named = _SECRET in text and (name != _SECRET or answer.status_code < 300)
            leaks += [(method, path, name)] if is_told or is_named else []
            broken += [(method, path, name)] if answer.status_code >= 500 else []
    assert (leaks, broken) == ([], [])


def test_a_tenant_has_what_is_its_own_on_every_route_that_shows_it(house, job, belongings):
    visit = Visit(house, house.token(Role.OPERATOR, "a"))
    shown = {
        path for method, path in routes(house.app) if method == "GET" and _SECRET in visit.ask("GET", path, job).text
    }
    assert {"/v1/jobs", "/v1/workflows", "/v1/skills", "/v1/tiers", "/v1/offers", "/workflows", "/submit"} <= shown
    by_name = {
        path: visit.ask("GET", path, job, _SECRET).status_code
        for method, path in routes(house.app)
        if method == "GET" and "/{name}" in path
    }
    assert set(by_name.values()) == {200}


def test_a_viewer_changes_nothing_of_its_own_tenant(house, job):
    visit = Visit(house, house.token(Role.VIEWER, "a"))
    sent = [(method, path) for method, path in routes(house.app) if method != "GET" and (method, path) not in _HARMLESS]
    assert len(sent) > 20
    assert [(key, code) for key in sent if (code := visit.ask(*key, job).status_code) not in (403, 422)] == []


@_LOWER
def test_no_lower_role_watches_the_whole_deployment(house, role):
    client = house.client(house.token(role, "a"))
    assert {client.get(path).status_code for path in _WATCHED} == {403}
