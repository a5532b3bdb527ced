"""A URL of Redis: which servers, which way, and what Celery makes of it."""

import pytest

from firstline.config.settings import Settings, load_settings
from firstline.config.shared_state.address import address_of, hosts_of
from firstline.schemas.errors import UserError


def celery_url(url: str) -> str:
    return address_of(url).celery_url


def test_celery_is_told_what_stands_in_the_url():
    assert celery_url("redis://user:p%40ss@host:6380/3") == "redis://user:p%40ss@host:6380/3"
    assert celery_url("unix:///run/redis.sock") == "redis+socket:///run/redis.sock"
    assert celery_url("rediss://host/0?ssl_ca_certs=ca.pem") == "rediss://host/0"


def test_each_sentinel_has_a_url_of_its_own_with_the_password_of_redis():
    found = address_of("sentinel://user:p%40ss@one:26380,[::1],three/2?master=jobs&sentinel_password=word")
    assert found.sentinels == (("one", 26380), ("::1", 26379), ("three", 26379))
    assert found.master == "jobs"
    assert found.celery_url.split(";") == [
        "sentinel://user:p%40ss@one:26380/2",
        "sentinel://user:p%40ss@[::1]:26379/2",
        "sentinel://user:p%40ss@three:26379/2",
    ]
    assert found.sentinel_options["password"] == "word"
    assert found.tls is None
    assert hosts_of("sentinel://user:secret@one:26380,[::1]/2?master=jobs") == "one:26380, [::1]:26379"


def test_sentinels_behind_tls_are_asked_by_tls_too():
    found = address_of("sentinels://one,two/0?master=jobs&ssl_ca_certs=ca.pem&ssl_check_hostname=false")
    assert found.tls == {"ssl_cert_reqs": "required", "ssl_ca_certs": "ca.pem", "ssl_check_hostname": False}
    assert found.sentinel_options["ssl"] is True
    assert found.sentinel_options["ssl_ca_certs"] == "ca.pem"


def test_settings_add_what_the_url_does_not_say(tmp_path):
    given = {"redis_master": "jobs", "redis_sentinel_password": "w&rd"}
    found = Settings(redis_url="sentinel://one/0", _env_file=None, **given)
    assert found.redis_url == "sentinel://one/0?master=jobs&sentinel_password=w%26rd"
    assert Settings(redis_url=found.redis_url, _env_file=None, **given).redis_url == found.redis_url
    assert Settings(redis_url="redis://host/0", _env_file=None, **given).redis_url == "redis://host/0"


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("REDIS_URL", "sentinel://one/0", "expected the name under which Sentinels watch the server"),
        ("REDIS_CA_FILE", "nowhere.pem", "expected a PEM file of certificates, got 'nowhere.pem' (["),
        ("REDIS_URL", "redis://[::1", "expected a URL such as redis://"),
        ("REDIS_URL", "redis://host:port/0", "expected a URL such as redis://"),
        ("REDIS_URL", "sentinel://one:26380,two:port/0?master=jobs", "expected a URL such as redis://"),
    ],
)
def test_what_will_not_do_is_said_before_anything_starts(name, value, sentence, monkeypatch):
    monkeypatch.setenv(f"FIRSTLINE_{name}", value)
    with pytest.raises(UserError) as caught:
        load_settings()
    assert str(caught.value).startswith(f"FIRSTLINE_{name}: {sentence}")
