"""Settings come from `FIRSTLINE_*`; a bad value is a sentence that names its variable and shows no password."""

from pathlib import Path

import pytest

from firstline.config.settings import Settings, load_settings, strangers
from firstline.config.shared_state.keys import Keys
from firstline.schemas.errors import UserError


@pytest.fixture(autouse=True)
def _bare(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"FIRSTLINE_{name.upper()}", raising=False)


def test_without_any_variable_everything_is_embedded(tmp_path):
    settings = load_settings()
    assert settings.redis_url is None
    assert settings.database == f"sqlite:///{tmp_path}/.firstline/firstline.db"
    assert settings.homes == ()
    assert settings.models_home == Path.home() / ".cache/firstline/models"


BAD = {
    "redis scheme": (
        "REDIS_URL",
        "http://user:hunter2@host",
        "expected a URL such as redis://HOST:6379/0, rediss://..., unix:///PATH, or sentinel://HOST1:26379,HOST2:26379/0",
    ),
    "database scheme": (
        "DATABASE_URL",
        "mysql://user:hunter2@host/db",
        "expected a URL such as postgresql://USER:PASSWORD@HOST/NAME or sqlite:///FILE",
    ),
    "log level": ("LOG_LEVEL", "loud", "expected 'DEBUG', 'INFO', 'WARNING' or 'ERROR', got 'LOUD'"),
    "number": ("HEARTBEAT_S", "soon", "expected a number, got 'soon'"),
    "range": ("DEAD_AFTER_S", "-1", "expected more than 0, got '-1'"),
    "namespace": ("NAMESPACE", "a b", "expected text that matches ^[A-Za-z0-9_-][A-Za-z0-9_:-]{0,39}$, got 'a b'"),
    "home": (
        "HOME",
        "nowhere",
        "expected a folder with skills/, workflows/ or tiers/, got 'nowhere', which is not a folder; "
        "create it or unset the variable",
    ),
}


@pytest.mark.parametrize(("name", "value", "sentence"), BAD.values(), ids=BAD)
def test_a_bad_value_is_told_with_its_variable(name, value, sentence, monkeypatch):
    monkeypatch.setenv(f"FIRSTLINE_{name}", value)
    with pytest.raises(UserError) as caught:
        load_settings()
    assert str(caught.value) == f"FIRSTLINE_{name}: {sentence}"


def test_every_bad_value_is_told_at_once(monkeypatch):
    monkeypatch.setenv("FIRSTLINE_SWEEP_S", "x")
    monkeypatch.setenv("FIRSTLINE_LOG_FORMAT", "x")
    with pytest.raises(UserError) as caught:
        load_settings()
    assert len(str(caught.value).splitlines()) == 2


def test_a_file_env_is_read_and_the_environment_wins(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("FIRSTLINE_NAMESPACE=filed\nFIRSTLINE_PROFILE=local\nOPENAI_API_KEY=sk\n")
    monkeypatch.setenv("FIRSTLINE_NAMESPACE", "set")
    settings = load_settings()
    assert (settings.namespace, settings.profile) == ("set", "local")


def test_an_empty_variable_counts_as_unset(monkeypatch):
    monkeypatch.setenv("FIRSTLINE_REDIS_URL", "")
    assert load_settings().redis_url is None


URLS = {
    "postgres": ("postgres://u@h/d", "postgresql+psycopg://u@h/d"),
    "postgresql": ("postgresql://u@h/d", "postgresql+psycopg://u@h/d"),
    "with driver": ("postgresql+psycopg://u@h/d", "postgresql+psycopg://u@h/d"),
    "sqlite": ("sqlite:///x.db", "sqlite:///x.db"),
}


@pytest.mark.parametrize(("written", "used"), URLS.values(), ids=URLS)
def test_a_postgresql_url_gets_the_driver_that_is_installed(written, used, monkeypatch):
    monkeypatch.setenv("FIRSTLINE_DATABASE_URL", written)
    assert load_settings().database == used


def test_own_folder_and_named_home_are_used_side_by_side_and_once(monkeypatch, tmp_path):
    (tmp_path / "firstline").mkdir()
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("FIRSTLINE_HOME", "other")
    assert load_settings().homes == (Path("firstline"), Path("other"))
    monkeypatch.setenv("FIRSTLINE_HOME", str(tmp_path / "firstline"))
    assert load_settings().homes == (Path("firstline"),)


def test_a_variable_with_a_typo_is_told():
    assert strangers({"FIRSTLINE_REDIS_ULR": "x", "FIRSTLINE_HOME": "y", "PATH": "z"}) == (
        "FIRSTLINE_REDIS_ULR is no setting and has no effect; did you mean 'FIRSTLINE_REDIS_URL'?",
    )


def test_two_namespaces_share_no_key_and_no_queue():
    def names(keys):
        plain = {keys.workers, keys.due, keys.leader, keys.modes, keys.queue("cheap")}
        per_thing = (keys.heartbeat, keys.claim, keys.answers, keys.cancel, keys.budget, keys.limit)
        more = (keys.cooldown, keys.cached, keys.lease)
        return plain | {name("x") for name in (*per_thing, *more)}

    one, other = names(Keys("one")), names(Keys("other"))
    assert len(one) == 14
    assert one.isdisjoint(other)
