"""`doctor` says what is missing and how to get it, and never shows a key."""

import socket
from pathlib import Path

import pytest

from firstline.config.catalogue.catalogue import Catalogue
from firstline.config.providers import doctor
from firstline.config.providers.doctor import Place, examine_machine, examine_profile, usable
from firstline.config.providers.prices import has_price
from firstline.config.providers.secrets import secret
from firstline.config.settings import Settings
from firstline.schemas.tier import Model, Price, Profile, Tier

KEYS = ("DEEPSEEK_API_KEY", "GEMINI_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY")


@pytest.fixture
def place(tmp_path):
    def make(environ=(), pulled=(), **settings):
        given = Settings(_env_file=None, **{"state_dir": tmp_path / "state", **settings})
        return Place(given, dict(environ), dict(pulled), dotenv=tmp_path / ".env", timeout_s=0.2)

    return make


def profile(**model):
    return Profile(name="p", tiers=(Tier(name="cheap", models=(Model(**{"name": "openai/gpt-6-luna", **model}),)),))


def missing(findings):
    return {finding.subject: finding.mend for finding in findings if finding.ok is False}


def by_subject(findings):
    return {finding.subject: finding for finding in findings}


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_each_missing_key_is_named_with_where_to_get_it(place):
    found = missing(examine_profile(Catalogue().profile("cloud"), place()))
    assert set(found) == set(KEYS)
    assert found["DEEPSEEK_API_KEY"] == (
        "export DEEPSEEK_API_KEY=... where the workers start, or put it into .env "
        "(a key is made at https://platform.deepseek.com/api_keys)"
    )


def test_with_all_keys_nothing_is_missing_and_no_key_is_shown(place):
    environ = {name: f"sk-secret-{name}" for name in KEYS}
    findings = examine_profile(Catalogue().profile("cloud"), place(environ))
    assert usable(findings)
    assert "sk-secret" not in repr(findings)


def test_a_key_may_stand_in_a_file_or_in_env(tmp_path):
    (tmp_path / "key").write_text("from-file\n")
    dotenv = tmp_path / ".env"
    dotenv.write_text("B=from-dotenv\n")
    environ = {"A_FILE": str(tmp_path / "key"), "C": "set", "D": "", "E_FILE": str(tmp_path / "no")}
    names = ("A", "B", "C", "D", "E")
    assert [secret(name, environ=environ, dotenv=dotenv) for name in names] == [
        "from-file", "from-dotenv", "set", None, None,
    ]  # fmt: skip


VARIABLES = {
    "usual variable": ({}, {"OPENAI_API_KEY"}),
    "variable of one's own": ({"api_key_env": "MY_KEY"}, {"MY_KEY"}),
    "server of one's own needs no key": ({"api_base": "http://127.0.0.1:1"}, {"server 127.0.0.1:1"}),
    "azure": ({"name": "azure/d"}, {"AZURE_API_KEY", "AZURE_API_BASE", "AZURE_API_VERSION"}),
    "azure, all but the key in the profile": (
        {"name": "azure/d", "api_key_env": "K", "api_base": "http://127.0.0.1:1", "params": {"api_version": "v"}},
        {"K", "server 127.0.0.1:1"},
    ),
    "provider that we do not know": ({"name": "somebody/model"}, set()),
}


@pytest.mark.parametrize(("model", "wanted"), VARIABLES.values(), ids=VARIABLES)
def test_what_a_model_needs_follows_from_its_provider_and_its_fields(model, wanted, place):
    assert set(missing(examine_profile(profile(**model), place()))) == wanted


AWS = {
    "keys": {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION_NAME": "c"},
    "profile": {"AWS_PROFILE": "a", "AWS_REGION": "b"},
    "role of a container": {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "a", "AWS_REGION_NAME": "b"},
}


@pytest.mark.parametrize("environ", AWS.values(), ids=AWS)
def test_bedrock_is_content_with_any_of_awss_own_ways(environ, place):
    assert usable(examine_profile(profile(name="bedrock/us.anthropic.claude-haiku-5-5"), place(environ)))


def test_local_models_are_missing_until_they_are_pulled(place, monkeypatch):
    monkeypatch.setattr(doctor, "find_spec", lambda name: None if name == "xllamacpp" else object())
    local = Catalogue().profile("local")
    assert missing(examine_profile(local, place())) == {
        "service cheap": "pip install 'firstline[local]'",
        "service frontier": "pip install 'firstline[local]'",
        "model qwen-0.5b": "firstline models pull qwen-0.5b",
        "model qwen-1.5b": "firstline models pull qwen-1.5b",
    }
    monkeypatch.setattr(doctor, "find_spec", lambda name: object())
    pulled = {"qwen-0.5b": Path("a.gguf"), "qwen-1.5b": Path("b.gguf")}
    assert usable(examine_profile(local, place(pulled=pulled)))


def test_the_recorded_profile_needs_nothing(place):
    assert usable(examine_profile(Catalogue().profile("recorded"), place()))


def test_a_server_that_does_not_answer_is_told(place, listener, closed_port):
    def look(port):
        return missing(examine_profile(profile(api_base=f"http://127.0.0.1:{port}/v1"), place()))

    assert look(listener) == {}
    assert look(closed_port) == {
        f"server 127.0.0.1:{closed_port}": "start the server, or look at `api_base:` in the profile"
    }


def test_an_unknown_price_is_told_but_stops_nothing(place):
    findings = examine_profile(profile(name="somebody/model"), place())
    assert usable(findings)
    assert by_subject(findings)["price of somebody/model"].text == (
        "unknown: its calls count as unpriced and no budget can be kept"
    )


PRICES = {
    "in the map": (Model(name="gemini/gemini-3.5-flash-lite"), True),
    "in the map without its provider": (Model(name="openai/gpt-6-luna"), True),
    "another provider's model of that name": (Model(name="openrouter/deepseek/deepseek-v4-flash"), False),
    "unknown": (Model(name="somebody/model"), False),
    "declared": (Model(name="somebody/model", price=Price(input=1, output=2)), True),
    "declared in part": (Model(name="somebody/model", price=Price(input=1)), False),
}


@pytest.mark.parametrize(("model", "known"), PRICES.values(), ids=PRICES)
def test_a_price_is_known_when_declared_or_in_litellms_map(model, known):
    assert has_price(model) is known


def test_an_embedded_machine_needs_nothing(place):
    findings = examine_machine(place())
    assert usable(findings)
    assert {finding.subject for finding in findings} == {"Redis", "database"}


def test_a_redis_that_does_not_answer_is_told_without_its_password(place, closed_port):
    url = f"redis://user:hunter2@127.0.0.1:{closed_port}/0"
    finding = by_subject(examine_machine(place(redis_url=url)))["Redis"]
    assert finding.ok is False
    assert finding.text == f"127.0.0.1:{closed_port} does not answer (ConnectionError)"
    assert finding.mend == "start it, or look at FIRSTLINE_REDIS_URL"


def test_a_postgresql_server_that_does_not_answer_is_told_without_its_password(place, listener, closed_port):
    def look(port):
        url = f"postgresql://user:hunter2@127.0.0.1:{port}/db"
        return by_subject(examine_machine(place(database_url=url)))["database"]

    assert look(listener).text == f"something listens at 127.0.0.1:{listener}"
    assert look(closed_port).text == f"nothing listens at 127.0.0.1:{closed_port}"
    assert look(closed_port).ok is False


def test_a_state_folder_that_cannot_be_written_is_told(place, tmp_path):
    (tmp_path / "file").write_text("")
    finding = by_subject(examine_machine(place(state_dir=tmp_path / "file" / "state")))["database"]
    assert finding.ok is False
    assert finding.mend == f"make '{tmp_path}/file' writable, or set FIRSTLINE_STATE_DIR to another folder"


def test_a_setting_with_a_typo_is_told_and_stops_nothing(place):
    findings = examine_machine(place({"FIRSTLINE_REDIS_ULR": "x"}))
    assert usable(findings)
    assert "did you mean 'FIRSTLINE_REDIS_URL'?" in by_subject(findings)["settings"].text
