"""Redis behind TLS, and behind Sentinels."""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from celery.contrib.testing.worker import start_worker
from kombu import pools
from redis.exceptions import RedisError

from firstline.config.providers.doctor import Place, examine_machine
from firstline.config.queues.app import make_app, queue
from firstline.config.queues.serving import POOL
from firstline.config.settings import Settings
from firstline.config.shared_state.redis import connect, connect_async
from tests.certificates import Authority, Signed
from tests.proxy import Proxy
from tests.redis_kinds import MASTER, WatchedRedis
from tests.servers import RedisServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("tls"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@contextmanager
def behind(shown: Signed, server: RedisServer, *, asks: Path | None = None) -> Iterator[str]:
    """Put TLS before a server; yield its URL."""
    way = Proxy(server.port, tls=shown.context(asks=asks))
    way.start()
    try:
        yield way.url
    finally:
        way.stop()


def settings_of(url: str, **others: object) -> Settings:
    return Settings(redis_url=url, namespace="kinds", _env_file=None, **others)  # type: ignore[arg-type,call-arg]


def assert_carries_messages(settings: Settings) -> None:
    """A message, its result, a command to workers and an asynchronous client get through."""
    app = make_app(settings)

    @app.task(name="firstline.echo", shared=False)
    def echo(word: str) -> str:
        return word

    app.conf.task_queues = [queue(settings, "cheap")]
    with start_worker(app, pool=POOL, concurrency=2, perform_ping_check=False, shutdown_timeout=20):
        sent = echo.apply_async(("hello",), queue=queue(settings, "cheap"))
        assert [answer for each in app.control.ping(timeout=2) for answer in each.values()] == [{"ok": "pong"}]
        assert sent.get(timeout=5) == "hello"

    async def ping() -> bool:
        async with connect_async(settings.redis_url) as client:
            return bool(await client.ping())

    assert asyncio.run(ping())


# TLS ----------------------------------------------------------------------------------------------------------------


def test_what_an_own_ca_signed_is_trusted(server, authority):
    with behind(authority.sign("good", "127.0.0.1"), server) as url:
        assert_carries_messages(settings_of(url, redis_ca_file=authority.file))


def test_a_client_shows_its_own_certificate_where_it_is_asked_for(server, authority):
    own = authority.sign("client", "client")
    with behind(authority.sign("asking", "127.0.0.1"), server, asks=authority.file) as url:
        shown = f"{url}?ssl_certfile={own.certificate}&ssl_keyfile={own.key}"
        assert_carries_messages(settings_of(shown, redis_ca_file=authority.file))


FLAWS = {
    "another CA": "set FIRSTLINE_REDIS_CA_FILE to the certificate of the CA that signed it",
    "expired": "(certificate verify failed: certificate has expired); renew it",
    "another host": "name the host in FIRSTLINE_REDIS_URL as the certificate does",
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_server_that_is_not_to_be_trusted_ends_a_process_with_one_sentence(flaw, server, authority, tmp_path):
    signer = Authority(tmp_path / "other") if flaw == "another CA" else authority
    host = "redis.example.org" if flaw == "another host" else "127.0.0.1"
    shown = signer.sign("server", host, is_expired=flaw == "expired")
    with behind(shown, server) as url:
        settings = settings_of(url, redis_ca_file=authority.file)
        found = [one for one in examine_machine(Place(settings, {}, {}, tmp_path / ".env")) if one.subject == "Redis"]
        env = {"FIRSTLINE_REDIS_URL": url, "FIRSTLINE_REDIS_CA_FILE": str(authority.file)}
        command = [sys.executable, "-m", "firstline.workers.process", "--queue", "cheap"]
        ended = subprocess.run(
            command, env=os.environ | env, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
    (told,) = ended.stderr.splitlines()
    assert ended.returncode == 2
    assert told.startswith(f"Redis at {url.split('/')[2]} cannot be trusted (")
    assert told.endswith(FLAWS[flaw])
    assert [(one.ok, one.text) for one in found] == [(False, told)]


# Sentinel -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[WatchedRedis]:
    watched = WatchedRedis(tmp_path / "watched")
    watched.start()
    yield watched
    watched.kill()
    shutil.rmtree(tmp_path, ignore_errors=True)


def test_clients_of_all_kinds_follow_the_master_that_sentinels_name(watched):
    settings = settings_of(watched.url.partition("?")[0], redis_master=MASTER)
    assert_carries_messages(settings)
    client = connect(settings.redis_url)
    client.set("kinds:before", "1")
    client.wait(1, 2000)
    before = watched.kill_master()
    deadline = time.monotonic() + 30
    while True:
        try:
            assert client.get("kinds:before") == "1"
            break
        except RedisError:
            assert time.monotonic() < deadline, "the client did not follow"
            time.sleep(0.1)
    assert watched.master_port not in (None, before)
    # Kombu keeps connections of apps that are gone.
    pools.reset()
    assert_carries_messages(settings)
