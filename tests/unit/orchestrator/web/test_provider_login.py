"""Logging in through an identity provider: who is let in as what, and which answers of it are refused."""

import base64
import hmac
import json
import re
import time
from datetime import timedelta
from pathlib import Path

import pytest
from joserfc.jwk import RSAKey

from firstline.config.catalogue.login_file import LoginFile, load_login
from firstline.config.errors.error_messages import ConfigError
from firstline.orchestrator import api
from firstline.orchestrator.core import audit_log, identity_provider
from firstline.orchestrator.store.access_tables import SessionRow
from firstline.schemas.access import Role
from tests.unit.provider_house import SECRET, Provider, serving
from tests.unit.web_house import House, build_house

FILE = """
issuer: {issuer}
client_id: firstline
client_secret: {{env: CLIENT_SECRET}}
roles: {{claim: groups, values: {{staff: submitter, admins: admin}}}}
tenants: {{claim: org, values: {{acme: a, bolt: b}}}}
"""
ADA = {"email": "ada@example.com", "org": "acme"}

#: What a claim says of the time is told from now on when a test runs: its name is one in every process.
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def key():
    return RSAKey.generate_key(2048, {"kid": "one", "alg": "RS256"}, private=True)


@pytest.fixture
def provider(key):
    with serving(Provider(key=key, claims=dict(ADA))) as made:
        yield made


@pytest.fixture
def house(tmp_path, monkeypatch, provider):
    monkeypatch.setenv("CLIENT_SECRET", SECRET)
    return build_house(tmp_path, monkeypatch, LOGIN_FILE=str(written(tmp_path, provider)))


def written(tmp_path, provider, more: str = ""):
    file = tmp_path / "login.yaml"
    file.write_text(FILE.format(issuer=provider.issuer) + more)
    return file


def leave(house: House, to: str = "/jobs"):
    """Go to the provider; return the browser, and the address that it was sent to."""
    browser = house.client(follow_redirects=False)
    answer = browser.get("/login/provider", params={"to": to})
    assert answer.status_code == 303
    return browser, answer.headers["location"]


def log_in(house: House, provider: Provider, to: str = "/jobs"):
    browser, address = leave(house, to)
    return browser, browser.get("/login/provider/back", params=provider.authorize(address))


def test_somebody_logs_in_with_the_least_role_and_logs_out(house, provider):
    browser, answer = log_in(house, provider)
    assert answer.status_code == 200, answer.text
    assert 'content="0; url=/jobs"' in answer.text
    cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith("firstline="))
    assert "SameSite=strict" in cookie
    assert "HttpOnly" in cookie
    page = browser.get("/jobs")
    assert "ada@example.com (u-17)" in page.text
    assert "viewer" in page.text
    guard = re.search(r'name="guard" value="([0-9a-f]{64})"', page.text)[1]
    kept = browser.cookies["firstline"]
    assert browser.post("/logout", data={"guard": guard}).status_code == 303
    assert house.client(cookies={"firstline": kept}, follow_redirects=False).get("/jobs").status_code == 303


def test_the_audit_log_names_the_subject_and_what_they_did(house, provider):
    provider.claims["groups"] = ["staff"]
    browser, _ = log_in(house, provider)
    guard = re.search(r'name="guard" value="([0-9a-f]{64})"', browser.get("/submit").text)[1]
    browser.post("/submit", data={"guard": guard, "workflow": "sort"})
    log = audit_log.deeds(api.engine().db)
    assert [(one.who, one.role, one.tenant, one.action) for one in log] == [
        ("ada@example.com (u-17)", "submitter", "a", "POST /submit"),
        ("ada@example.com (u-17)", "submitter", "a", "GET /login/provider/back"),
    ]
    assert (log[1].status, log[1].target) == (200, provider.issuer)


@pytest.mark.parametrize(
    ("groups", "role"),
    [(None, "viewer"), (["others"], "viewer"), ("staff", "submitter"), (["staff", "admins"], "admin"), (7, "viewer")],
)
def test_the_highest_role_of_the_claims_counts_and_the_least_is_for_everybody(provider, groups, role):
    login = LoginFile(
        issuer=provider.issuer,
        client_id="x",
        roles={"claim": "groups", "values": {"staff": "submitter", "admins": "admin"}},
    )
    assert login.role_of({"groups": groups}) is Role(role)
    assert login.evolve(otherwise=None).role_of({"groups": None}) is None


@pytest.mark.parametrize("org", [None, "stranger", ["acme", "bolt"]], ids=["none", "unknown", "two"])
def test_who_belongs_to_no_tenant_or_to_two_is_refused(house, provider, org):
    provider.claims["org"] = org
    browser, answer = log_in(house, provider)
    assert answer.status_code == 401
    assert "belongs to no tenant here, or to several" in answer.text
    assert "firstline" not in browser.cookies


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def by_hand(header: dict[str, object], claims: dict[str, object], secret: bytes | None = None) -> str:
    """Return a token that no library would sign: with no signature, or with a secret that everybody knows."""
    signed = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
    return f"{signed}.{encoded(hmac.digest(secret, signed.encode(), 'sha256')) if secret else ''}"


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another"},
        {"aud": ["firstline", "another"]},
        {"aud": None},
        {"azp": "another"},
        {"iss": "https://another.example.com"},
        {"exp": -HOUR},
        {"exp": None},
        {"nbf": HOUR},
        {"sub": None},
    ],
    ids=str,
)
def test_an_identity_that_is_not_for_this_log_in_is_refused(house, provider, claims):
    now = time.time()
    told = {name: int(now + at.total_seconds()) for name, at in claims.items() if isinstance(at, timedelta)}
    provider.claims |= claims | told
    refused(house, *log_in(house, provider))


def test_a_signature_that_is_not_the_providers_is_refused(house, provider):
    stranger = RSAKey.generate_key(2048, {"kid": "two", "alg": "RS256"}, private=True)
    same_name = RSAKey.import_key(stranger.as_dict(private=True) | {"kid": "one"})
    for forge in (
        lambda claims: by_hand({"alg": "none"}, claims),
        lambda claims: by_hand({"alg": "none", "kid": "one"}, claims),
        lambda claims: by_hand({"alg": "HS256", "kid": "one"}, claims, provider.key.as_pem(private=False)),
        lambda claims: provider.signed(claims, stranger),
        lambda claims: provider.signed(claims, same_name),
        lambda claims: "no.token.at-all",
        lambda claims: 7,
    ):
        provider.forge = forge
        refused(house, *log_in(house, provider))
    provider.forge = None
    assert log_in(house, provider)[1].status_code == 200


def refused(house, browser, answer):
    assert answer.status_code == 401, answer.text
    assert "begin again" in answer.text or "openid" in answer.text
    assert "firstline" not in browser.cookies
    with api.engine().db.reading() as tx:
        assert tx.execute(SessionRow.__table__.select()).all() == []
    assert audit_log.deeds(api.engine().db, limit=1)[0].status == 401


def test_a_new_key_of_the_provider_is_asked_for(house, provider, monkeypatch):
    monkeypatch.setattr("firstline.orchestrator.core.identity_provider._LOOK_S", 0.0)
    assert log_in(house, provider)[1].status_code == 200
    provider.key = RSAKey.generate_key(2048, {"kid": "three", "alg": "RS256"}, private=True)
    assert log_in(house, provider)[1].status_code == 200


def test_a_log_in_comes_back_once_and_to_the_browser_that_began_it(house, provider):
    browser, address = leave(house)
    away, back = browser.cookies["firstline_login"], provider.authorize(address)
    other, _ = leave(house)
    refused(house, other, other.get("/login/provider/back", params=back))
    refused(house, house.client(), house.client().get("/login/provider/back", params=back))
    assert browser.get("/login/provider/back", params=back).status_code == 200
    again = house.client(cookies={"firstline_login": away}).get("/login/provider/back", params=back)
    assert again.status_code == 401
    assert "has come back once already" in again.text


def test_a_wrong_state_and_another_issuer_are_refused_before_the_code_is_sent(house, provider):
    for wrong in ({"state": "x"}, {"iss": "https://another.example.com"}):
        browser, address = leave(house)
        back = provider.authorize(address)
        refused(house, browser, browser.get("/login/provider/back", params=back | wrong))
        assert back["code"] in provider.codes


def test_the_way_on_is_a_page_of_ours(house, provider):
    _, answer = log_in(house, provider, to="//evil.example.com/x")
    assert 'content="0; url=/"' in answer.text


def test_where_people_can_log_in_the_house_is_not_open_to_this_machine(house):
    assert house.client().get("/v1/jobs").status_code == 401
    assert "Log in with your organisation" in house.client().get("/login").text


def test_an_answer_to_a_code_that_does_not_end_is_not_read_to_its_end(house, provider):
    provider.forge = lambda claims: "x" * (identity_provider._MOST_BYTES + 1)
    browser, answer = log_in(house, provider)
    assert answer.status_code == 503
    assert "cannot be asked: StreamError: the answer is longer than 1 MB" in answer.text
    assert "firstline" not in browser.cookies


def test_a_provider_that_is_away_is_said_and_tokens_work(house, provider):
    provider.down = True
    answer = house.client(follow_redirects=False).get("/login/provider")
    assert answer.status_code == 503
    assert "identity provider" in answer.text
    assert house.client(house.token()).get("/v1/jobs").status_code == 200


def test_a_provider_that_goes_away_amid_a_log_in_is_said(house, provider):
    # Whoever asks for a token finds the connection closed.
    provider.token = None
    browser, answer = log_in(house, provider)
    assert answer.status_code == 503
    assert "identity provider" in answer.text
    assert "firstline" not in browser.cookies


def test_a_provider_that_says_too_much_is_not_read_on(house, monkeypatch):
    monkeypatch.setattr(identity_provider, "_MOST_BYTES", 100)
    answer = house.client(follow_redirects=False).get("/login/provider")
    assert answer.status_code == 503
    assert "cannot be asked: StreamError: the answer is longer than" in answer.text


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("client_secret: hunter2-is-here", "expected"),
        ("client_secret: {value: hunter2}", "a secret is named, not written down"),
        ("issuer: http://login.example.com", "expected an https:// address"),
        ("otherwise: emperor", "expected 'viewer'"),
        ("unknown: 1", "unknown"),
    ],
)
def test_a_login_file_that_will_not_do_is_refused_with_its_line(tmp_path, monkeypatch, more, said):
    file = tmp_path / "login.yaml"
    name = more.split(":")[0]
    kept = [line for line in FILE.format(issuer="https://login.example.com").splitlines() if not line.startswith(name)]
    file.write_text("\n".join([*kept, more]))
    with pytest.raises(ConfigError) as found:
        build_house(tmp_path, monkeypatch, LOGIN_FILE=str(file))
    assert said in str(found.value)
    assert "hunter2" not in str(found.value)
    assert f"{file}:" in str(found.value)


def test_the_documented_file_is_one_and_every_field_is_documented(tmp_path):
    page = (Path(__file__).parents[4] / "docs" / "security.md").read_text("utf-8")
    file = tmp_path / "login.yaml"
    file.write_text(re.search(r"```yaml\n(.*?)```", page, re.DOTALL)[1])
    login = load_login(file)
    assert login.role_of({"groups": ["llm-admins"]}) is Role.ADMIN
    assert login.tenant_of({"org": "bolt"}) == "b"
    assert [name for name in LoginFile.model_fields if f"| `{name}`" not in page and f", `{name}` |" not in page] == []
