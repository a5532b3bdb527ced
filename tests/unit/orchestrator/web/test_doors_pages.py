"""The administrator's pages: who did what, when, from where; tokens with their last use, and their end."""

import re
from datetime import UTC, datetime

import pytest

from firstline.orchestrator import api
from firstline.orchestrator.core import tokens
from firstline.orchestrator.store import audit_log
from firstline.orchestrator.store.access_tables import AuditLogRow
from firstline.schemas.access import Role
from tests.unit.web_house import build_house


@pytest.fixture
def house(tmp_path, monkeypatch):
    return build_house(tmp_path, monkeypatch, loopback=False)


@pytest.fixture
def admin(house):
    return logged_in(house, Role.ADMIN)


@pytest.fixture
def deeds(house, admin):
    """A hundred and twenty deeds of two people, one a day, each third refused."""
    with api.engine().db.writing() as tx:
        tx.execute(AuditLogRow.__table__.delete())
        for n in range(120):
            row = AuditLogRow(
                at=datetime(2026, 1 + n // 28, 1 + n % 28, 23, 59, tzinfo=UTC),
                who="50%_of_Ada" if n % 2 else "Bob",
                role="operator",
                tenant="a" if n % 2 else "b",
                source=f"203.0.113.{n}",
                action="POST /v1/jobs/{job}/cancel",
                target=f"/v1/jobs/job-{n:03}/cancel",
                status=403 if n % 3 == 0 else 200,
            )
            audit_log.note(tx, row=row)


def logged_in(house, role: Role, tenant: str = "default"):
    browser = house.client(follow_redirects=False)
    assert browser.post("/login", data={"token": house.token(role, tenant)}).status_code == 303
    return browser


def shown(answer) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [int(one) for one in re.findall(r">/v1/jobs/job-(\d+)/cancel<", answer.text)]


def test_who_did_what_when_from_where_newest_first_and_page_by_page(admin, deeds):
    first = admin.get("/audit-log")
    assert shown(first) == list(range(119, 69, -1))
    assert "203.0.113.119" in first.text
    assert "operator of a" in first.text
    assert "120 lines" in first.text
    assert shown(admin.get("/audit-log?page=3")) == list(range(19, -1, -1))
    assert shown(admin.get("/audit-log?page=99")) == list(range(19, -1, -1))


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ("who=bob", lambda n: n % 2 == 0),
        ("who=%25_of", lambda n: n % 2 == 1),
        ("who=50_", lambda n: False),
        ("target=job-007", lambda n: n == 7),
        ("source=113.11&refused=yes", lambda n: n in (111, 114, 117)),
        ("refused=no", lambda n: n % 3),
        ("tenant=a&target=job-00", lambda n: n % 2 and n < 10),
        ("since=2026-05-02&until=2026-05-03", lambda n: n in (113, 114)),
        ("until=9999-12-31&target=job-11", lambda n: n >= 110),
    ],
)
def test_what_is_looked_for_stands_in_the_address(admin, deeds, query, fits):
    expected = [n for n in range(119, -1, -1) if fits(n)]
    found = admin.get(f"/audit-log?{query}")
    assert shown(found) == expected[:50]
    more = re.search(r'href="(/audit-log\?[^"]+page=2)"', found.text)
    assert (more is not None) == (len(expected) > 50)
    if more:
        assert shown(admin.get(more[1].replace("&amp;", "&"))) == expected[50:100]


@pytest.mark.parametrize("wrong", ["page=0", "refused=perhaps", "since=soon", "who=%00", "who=" + "x" * 101])
def test_what_cannot_be_looked_for_is_a_sentence(admin, wrong):
    answer = admin.get(f"/audit-log?{wrong}")
    assert answer.status_code == 422
    assert "Traceback" not in answer.text


def test_what_is_written_by_strangers_is_shown_as_text(house, admin):
    house.client("fl_x").post("/v1/jobs/<script>alert(1)<script>")
    page = admin.get("/audit-log").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_tokens_show_their_last_use_and_end_at_once(house, admin):
    _, unused = tokens.create(api.engine().db, name="Grace", role=Role.VIEWER, tenant="a")
    other = logged_in(house, Role.OPERATOR, "b")
    page = admin.get("/tokens").text
    assert re.search(r"Grace</a>.*?never", page, re.DOTALL)
    assert page.count("just now</time></td>") >= 2
    guard = re.search(r'name="guard" value="([0-9a-f]{64})"', page)[1]
    theirs = next(one for one in tokens.listed(api.engine().db) if one.role is Role.OPERATOR)
    assert admin.post(f"/tokens/{theirs.id}/revoke").status_code == 403, "a form of ours knows the guard"
    assert other.get("/jobs").status_code == 200
    assert admin.post(f"/tokens/{theirs.id}/revoke", data={"guard": guard}).status_code == 303
    assert other.get("/jobs").status_code == 303, "its sessions end with it"
    assert "revoked</span>" in admin.get("/tokens").text
    assert admin.post(f"/tokens/{theirs.id}/revoke", data={"guard": guard}).status_code == 404
    assert admin.get("/audit-log?action=revoke&refused=no").text.count(f"/tokens/{theirs.id}/revoke") == 1
    assert unused.last_used_at is None


@pytest.mark.parametrize("role", [Role.VIEWER, Role.SUBMITTER, Role.OPERATOR], ids=str)
def test_nobody_else_sees_them_or_ends_a_token(house, role):
    browser = logged_in(house, role)
    mine = tokens.listed(api.engine().db)[0]
    guard = re.search(r'name="guard" value="([0-9a-f]{64})"', browser.get("/jobs").text)[1]
    assert "Audit log" not in browser.get("/jobs").text
    assert [browser.get(path).status_code for path in ("/audit-log", "/tokens")] == [403, 403]
    assert browser.post(f"/tokens/{mine.id}/revoke", data={"guard": guard}).status_code == 403
    assert tokens.listed(api.engine().db)[0].revoked_at is None
