"""Secrets are named, never written down."""

import json

import pytest
from pydantic import ValidationError

from firstline.config.providers.secrets import revealed
from firstline.schemas.errors import UserError
from firstline.schemas.plan import Step
from firstline.schemas.secret_names import env_names, written_secrets
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Model
from firstline.schemas.tool import ToolSpec
from firstline.workers.tools.isolate import run


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"url": "postgresql://reader:hunter2@db/shop"}, id="a URL with a password"),
        pytest.param({"headers": {"Authorization": "Basic dXNlcjpwYXNz"}}, id="a header"),
        pytest.param({"headers": {"X-Api-Key": "abc"}}, id="a header of one's own"),
        pytest.param({"env": {"DB_PASSWORD": "hunter2"}}, id="an environment variable of a server"),
        pytest.param({"command": ["server", "--key", "sk-abcdefghijklmnopqrstuvwx"]}, id="a provider's key in a list"),
        pytest.param({"note": "use ghp_abcdefghijklmnopqrstuvwxyz0123"}, id="a token in a text"),
        pytest.param({"command": ["server", "--api-key", "hunter2"]}, id="what follows a flag"),
        pytest.param({"command": ["server", "--token=hunter2"]}, id="what a flag says"),
        pytest.param({"command": "server --url postgresql://reader:hunter2@db/shop"}, id="a URL within a text"),
        pytest.param({"url": "https://example.org/v1?format=json&api_key=hunter2"}, id="a URL's query"),
        pytest.param({"dsn": "host=db user=reader password=hunter2"}, id="a connection string"),
        pytest.param({"dsn": "Driver=ODBC;Server=db;PWD=hunter2"}, id="another connection string"),
        pytest.param({"auth": {"clientSecret": "hunter2"}}, id="a name in camel case"),
        pytest.param({"pem": "-----BEGIN RSA PRIVATE KEY-----\nMIIE"}, id="a private key"),
    ],
)
def test_a_secret_that_is_written_down_is_refused_and_not_repeated(options):
    with pytest.raises(ValidationError) as caught:
        ToolSpec(name="t", kind="http_get", options=options)
    told = str(caught.value.errors(include_input=False)[0]["msg"])
    assert "{env: NAME}" in told
    for hidden in ("hunter2", "sk-abc", "ghp_", "dXNlc", "MIIE"):
        assert hidden not in told


@pytest.mark.parametrize(
    "options",
    [
        {"url": {"env": "SHOP_URL"}, "headers": {"Authorization": {"file": "/run/secrets/token"}}},
        {"url": "postgresql://reader@db/shop", "max_tokens": 5, "token_limit": "10"},
        {"url": "https://example.org/a@b", "hosts": ["example.org"]},
        {"statement": "select id from users where token = :token and password=:p", "note": "max_tokens=5; see a=b"},
        {"command": ["server", "--token", {"env": "TOKEN"}, "--verbose", "--tokens", "5"]},
    ],
)
def test_what_names_a_secret_or_is_none_is_taken(options):
    ToolSpec(name="t", kind="http_get", options=options)
    assert list(written_secrets(options)) == []


def test_a_profiles_model_holds_none_either():
    with pytest.raises(ValidationError, match="written down"):
        Model(name="openai/m", params={"extra_headers": {"Authorization": "Bearer abcdefghijkl"}})
    with pytest.raises(ValidationError, match="written down"):
        Model(name="openai/m", api_base="https://user:hunter2@example.org/v1")
    assert Model(name="openai/m", params={"extra_headers": {"Authorization": {"env": "KEY"}}}, api_base="https://h/v1")


def test_a_secret_is_read_when_it_is_needed(monkeypatch, tmp_path):
    file = tmp_path / "token"
    file.write_text("from a file\n")
    monkeypatch.setenv("SHOP_URL", "from the environment")
    options = {"url": {"env": "SHOP_URL"}, "deep": [{"token": {"file": str(file)}}], "n": 1}
    assert revealed(options) == {"url": "from the environment", "deep": [{"token": "from a file"}], "n": 1}
    assert list(env_names(options)) == ["SHOP_URL"]
    with pytest.raises(UserError, match="NOT_THERE"):
        revealed({"env": "NOT_THERE"})


def test_a_tool_gets_its_secret_and_no_declaration_shows_it(monkeypatch, tmp_path):
    import sqlite3

    file = tmp_path / "hunter2.db"
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE t (n INTEGER)")
        database.execute("INSERT INTO t VALUES (7)")
    monkeypatch.setenv("SHOP_URL", f"sqlite:///{file}")
    spec = ToolSpec(name="shop", kind="sql", options={"url": {"env": "SHOP_URL"}})
    assert "hunter2" not in spec.model_dump_json()
    result = run(spec, {"statement": "SELECT n FROM t"})
    assert result.error is None, result.error
    assert "7" in json.dumps(result.value)


def test_a_step_and_a_skill_hold_none_either(tmp_path):
    with pytest.raises(ValidationError, match="written down at 'url'"):
        Step(name="s", kind="tool", tool="shop", options={"url": "postgresql://reader:hunter2@db/shop"})
    assert Step(name="s", kind="plan", options={"goal": "Say where password=hunter2 stands."})
    with pytest.raises(ValidationError, match="a skill has none"):
        Skill(name="s", instructions="x", output={"type": "string"}, params={"extra_headers": {"X-Api-Key": "hunter2"}})


def test_a_steps_options_name_secrets_as_a_tools_do(monkeypatch, tmp_path):
    import sqlite3

    file = tmp_path / "shop.db"
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE t AS SELECT 7 AS n")
    monkeypatch.setenv("SHOP_URL", f"sqlite:///{file}")
    spec = ToolSpec(name="shop", kind="sql", options={"url": "sqlite:///other.db"})
    result = run(spec, {"statement": "SELECT n FROM t"}, options={"url": {"env": "SHOP_URL"}})
    assert result.error is None, result.error
