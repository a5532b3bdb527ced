"""Who may do what: tokens, roles, tenants, the open house on loopback, rates, sizes, other sites."""

import re

import pytest

from firstline.orchestrator import api
from firstline.orchestrator.core import tokens
from firstline.orchestrator.store.access_tables import TokenRow
from firstline.orchestrator.web import access
from firstline.orchestrator.web.rates import Rates
from firstline.schemas.access import Role
from tests.unit.web_house import build_house


def own_skill(**declared):
    """The fields of a workflow that brings a skill of its own."""
    plain = {"name": "own", "instructions": "Sort.", "input": {"text": {}}, "output": {"type": "string"}}
    return {"steps": [{"name": "a", "skill": "own"}], "skills": [plain | declared]}


@pytest.fixture
def house(tmp_path, monkeypatch):
    return build_house(tmp_path, monkeypatch)


@pytest.fixture
def closed(tmp_path, monkeypatch):
    return build_house(tmp_path, monkeypatch, loopback=False)


def test_without_a_token_this_machine_may_do_everything(house):
    assert house.client().put("/v1/skills/sort/model", json={"profile": "house", "model": "openai/big"}).json() == {
        "tier": "frontier"
    }


def test_the_first_token_ends_the_open_house(house):
    house.token()
    answer = house.client().get("/v1/jobs")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_first_token_closes_the_door_for_good(house):
    house.token(days=1e-9)
    tokens.create(api.engine().db, name="gone", role=Role.ADMIN, tenant="default")
    tokens.revoke(api.engine().db, tokens.listed(api.engine().db)[0].id)
    assert house.client().get("/v1/jobs").status_code == 401


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "via", "x-real-ip", "x-forwarded-proto"])
def test_who_comes_through_a_proxy_is_not_this_machine(house, header):
    assert house.client().get("/v1/jobs").status_code == 200
    assert house.client().get("/v1/jobs", headers={header: "203.0.113.9"}).status_code == 401


def test_a_sessions_cookie_is_not_the_token_and_ends_with_logging_out(house):
    token = house.token()
    client = house.client(follow_redirects=False)
    client.post("/login", data={"token": token})
    cookie = client.cookies["firstline"]
    assert cookie != token
    assert house.client(cookie).get("/v1/jobs").status_code == 401, "a cookie is no token"
    assert house.client(cookies={"firstline": token}).get("/v1/jobs").status_code == 401, "a token is no cookie"
    guard = re.search(r'name="guard" value="([0-9a-f]{64})"', client.get("/submit").text)[1]
    assert client.post("/logout", data={"guard": guard}).status_code == 303
    assert house.client(cookies={"firstline": cookie}).get("/v1/jobs").status_code == 401, "whoever kept a copy is out"


def test_a_session_ends_with_its_token(house):
    token = house.token()
    client = house.client(follow_redirects=False)
    client.post("/login", data={"token": token})
    assert client.get("/v1/jobs").status_code == 200
    tokens.revoke(api.engine().db, tokens.listed(api.engine().db)[0].id)
    assert client.get("/v1/jobs").status_code == 401


def test_a_stream_ends_with_its_token(closed, monkeypatch):
    monkeypatch.setattr("firstline.orchestrator.web.access.ASKED_AGAIN_S", 0.0)
    monkeypatch.setattr("firstline.orchestrator.web.api.jobs._POLL_S", 0.05)
    token = closed.token()
    job = closed.submit(token=token)
    asked: list[bool] = []

    def still_in(request) -> bool:
        if len(asked) == 2:
            tokens.revoke(api.engine().db, tokens.listed(api.engine().db)[0].id)
        asked.append(access.still_in(request))
        return asked[-1]

    monkeypatch.setattr("firstline.orchestrator.web.api.jobs.still_in", still_in)
    # The job goes on, and the test client waits for the end of the stream.
    assert closed.client(token).get(f"/v1/jobs/{job}/events").text.count("event: status") == 1
    assert asked == [True, True, False]


def test_a_guard_of_other_characters_is_refused_like_any_wrong_one(house):
    client = house.client()
    client.post("/login", data={"token": house.token()})
    assert client.post("/submit", data={"guard": "\u00e4" * 64, "workflow": "sort"}).status_code == 403


def test_what_is_done_is_written_into_the_audit_log_with_who_and_what_came_of_it(closed):
    admin, viewer = closed.token(), closed.token(Role.VIEWER, "ours")
    job = closed.submit(token=admin)
    closed.client(viewer).post(f"/v1/jobs/{job}/cancel")
    closed.client().post(f"/v1/jobs/{job}/pause")
    closed.client().post("/login", data={"token": "fl_wrong"})
    log = closed.client(admin).get("/v1/audit-log").json()
    assert [(one["action"], one["who"], one["tenant"], one["status"]) for one in log] == [
        ("POST /login", "", None, 401),
        # Refused at the door, before it is known what it would be.
        ("POST unknown", "", None, 401),
        ("POST /v1/jobs/{job}/cancel", "viewer", "ours", 403),
        ("POST /v1/jobs", "admin", "default", 201),
    ]
    assert [one["target"] for one in log[1:3]] == [f"/v1/jobs/{job}/{act}" for act in ("pause", "cancel")]
    assert "fl_" not in str(log)
    assert closed.client(viewer).get("/v1/audit-log").status_code == 403
    assert all(one.last_used_at is not None for one in tokens.listed(api.engine().db))


def test_where_others_can_reach_it_nobody_comes_in_without_a_token(closed):
    assert closed.client().get("/v1/jobs").status_code == 401
    assert closed.client().get("/health").status_code == 200


def test_a_token_is_kept_only_as_a_digest(house):
    token = house.token()
    with api.engine().db.reading() as tx:
        rows = tx.execute(TokenRow.__table__.select()).mappings().all()
    assert token not in str(rows)
    assert len(rows[0]["digest"]) == 64


@pytest.mark.parametrize("end", ["revoked", "expired"])
def test_a_token_that_is_no_longer_in_force_opens_nothing(closed, end):
    token = closed.token(days=None if end == "revoked" else 1e-9)
    if end == "revoked":
        tokens.revoke(api.engine().db, tokens.listed(api.engine().db)[0].id)
    assert closed.client(token).get("/v1/jobs").status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "body", "role"),
    [
        pytest.param("GET", "/v1/jobs", None, Role.VIEWER, id="look"),
        pytest.param("POST", "/v1/plans", {"workflow": "two-steps"}, Role.SUBMITTER, id="preview"),
        pytest.param("POST", "/v1/jobs/{job}/pause", None, Role.OPERATOR, id="steer"),
        pytest.param("POST", "/v1/jobs/{job}/budget", {"add_usd": 1}, Role.OPERATOR, id="raise a budget"),
        pytest.param(
            "PUT", "/v1/skills/sort/model", {"profile": "house", "model": "openai/big"}, Role.ADMIN, id="choose a model"
        ),
    ],
)
def test_each_role_may_do_what_is_its_own_and_no_more(closed, method, path, body, role):
    submitter = closed.token(Role.SUBMITTER)
    path = path.format(job=closed.submit(token=submitter, budget_usd=1))
    for one in Role:
        status = closed.client(closed.token(one)).request(method, path, json=body).status_code
        assert (status == 403) is not one.covers(role), one


def test_a_tenant_sees_only_its_own_jobs(closed):
    ours, theirs = (closed.token(Role.OPERATOR, tenant) for tenant in ("ours", "theirs"))
    job = closed.submit(token=ours)
    assert [one["job"] for one in closed.client(ours).get("/v1/jobs").json()["jobs"]] == [job]
    assert closed.client(theirs).get("/v1/jobs").json()["jobs"] == []
    for path in ("", "/results", "/plan", "/report", "/items", "/items/0", "/events", "/steps"):
        assert closed.client(theirs).get(f"/v1/jobs/{job}{path}").status_code == 404
    assert closed.client(theirs).post(f"/v1/jobs/{job}/cancel").status_code == 404


def test_a_tenant_cannot_submit_for_another(closed):
    token = closed.token(Role.SUBMITTER, "ours")
    body = {"workflow": "sort", "tenant": "theirs", "items": [{"text": "a"}]}
    assert closed.client(token).post("/v1/jobs", json=body).status_code == 403


def test_two_tenants_may_use_the_same_idempotency_key(closed):
    body = {"workflow": "sort", "items": [{"text": "a"}]}
    jobs = [
        closed.client(closed.token(Role.SUBMITTER, tenant))
        .post("/v1/jobs", json=body, headers={"Idempotency-Key": "k"})
        .json()["job"]
        for tenant in ("ours", "theirs", "ours")
    ]
    assert jobs[0] == jobs[2] != jobs[1]


@pytest.mark.parametrize(
    "workflow",
    [
        pytest.param({"steps": [{"name": "a", "kind": "tool", "tool": "python"}]}, id="a built-in tool"),
        pytest.param(
            {"steps": [{"name": "a", "skill": "sort"}], "tools": [{"name": "t", "kind": "http_get"}]}, id="its own tool"
        ),
        pytest.param(own_skill(tools=["t"]), id="a skill with tools"),
        pytest.param(own_skill(checks=[{"kind": "function", "path": "os:system"}]), id="a check by a function"),
        pytest.param(
            own_skill(confidence=[{"kind": "function", "path": "subprocess:getoutput"}]), id="a signal by a function"
        ),
        pytest.param(
            own_skill(confidence=[{"kind": "agreement", "compare": "os:system"}]), id="samples compared by a function"
        ),
        pytest.param(own_skill(params={"api_base": "https://example.org"}), id="where the key would be sent"),
        pytest.param(
            {"steps": [{"name": "a", "skill": "sort"}], "quality": {"gold": "g", "compare": "os:system"}},
            id="a score by a function",
        ),
    ],
)
def test_only_an_administrator_brings_along_what_reaches_beyond_text(closed, workflow):
    body = {"workflow": {"name": "w", **workflow}, "items": [{"text": "a"}]}
    answer = closed.client(closed.token(Role.OPERATOR)).post("/v1/jobs", json=body)
    assert answer.status_code == 403
    assert "takes the role admin" in answer.json()["detail"]


def test_anyone_who_may_submit_brings_a_skill_of_their_own_that_only_asks(closed):
    skill = own_skill(params={"temperature": 0}, checks=[{"kind": "length", "max": 9}], confidence=[{"kind": "margin"}])
    body = {"workflow": {"name": "w", **skill}, "items": [{"text": "a"}]}
    assert closed.client(closed.token(Role.SUBMITTER)).post("/v1/jobs", json=body).status_code == 201


@pytest.mark.parametrize("field", ["workflow", "profile"])
def test_the_api_opens_no_file_by_its_path(house, field):
    body = {"workflow": "sort", "items": [{"text": "a"}]} | {field: "../../etc/passwd.yaml"}
    assert house.client().post("/v1/jobs", json=body).status_code == 422


def test_a_steps_skill_is_a_name_and_no_path(house):
    workflow = {"name": "w", "steps": [{"name": "a", "skill": "./secret.yaml"}]}
    answer = house.client().post("/v1/jobs", json={"workflow": workflow, "items": [{"text": "a"}]})
    assert answer.status_code == 422
    assert "opens no files by path" in answer.json()["detail"]


def test_a_token_that_asks_too_often_is_told_when_to_come_back(tmp_path, monkeypatch):
    house = build_house(tmp_path, monkeypatch, API_REQUESTS_PER_MINUTE="3")
    client = house.client(house.token())
    assert [client.get("/v1/jobs").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert int(client.get("/v1/jobs").headers["retry-after"]) in range(1, 21)
    assert house.client(house.token()).get("/v1/jobs").status_code == 200


def test_a_bucket_fills_again_with_time():
    at = [0.0]
    rates = Rates(60, clock=lambda: at[0])
    assert [rates.take("a") for _ in range(60)] == [0.0] * 60
    assert rates.take("a") == pytest.approx(1.0)
    at[0] = 1.0
    assert rates.take("a") == 0.0
    assert rates.take("a") > 0


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "unannounced"])
def test_a_body_that_is_too_large_is_refused(tmp_path, monkeypatch, chunked):
    house = build_house(tmp_path, monkeypatch, API_MAX_BODY_MB="0.01")
    body = b'{"workflow": "sort", "items": [{"text": "' + b"a" * 20_000 + b'"}]}'
    content = (body[n : n + 1000] for n in range(0, len(body), 1000)) if chunked else body
    answer = house.client().post("/v1/jobs", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 413
    assert answer.json()["status"] == 413


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"origin": "https://evil.example"}, id="another origin"),
        pytest.param({"sec-fetch-site": "cross-site"}, id="a cross-site request"),
        pytest.param({"host": "rebound.example"}, id="a name that is not this machine's"),
    ],
)
def test_a_page_of_another_site_can_send_nothing_to_an_open_house(house, headers):
    body = {"workflow": "sort", "items": [{"text": "a"}]}
    assert house.client().post("/v1/jobs", json=body, headers=headers).status_code == 403


def test_every_answer_forbids_foreign_content(house):
    for path in ("/v1/jobs", "/", "/v1/jobs/none", "/static/style.css"):
        headers = house.client().get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
