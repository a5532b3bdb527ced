"""A Redis whose user may touch one prefix alone, as shared servers give it out."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator

import pytest
import redis
from celery.contrib.testing.worker import start_worker

from firstline.config.providers.doctor import Place, examine_machine
from firstline.config.queues.app import make_app, queue
from firstline.config.queues.serving import POOL
from firstline.config.settings import Settings
from firstline.config.shared_state.redis import connect, refusal
from tests.servers import RedisServer

NAMESPACE = "shared-one"
WITHIN = (f"~{NAMESPACE}:*", f"~{NAMESPACE}.*", f"&{NAMESPACE}:*", f"&{NAMESPACE}.*")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("acl"))
    server.start()
    yield server
    server.kill()


def user_of(server: RedisServer, *rules: str) -> Settings:
    """Return the settings of a new user with these rules and all commands."""
    name = f"u{secrets.token_hex(4)}"
    redis.Redis(port=server.port).execute_command("ACL", "SETUSER", name, "on", ">word", "resetkeys", *rules, "+@all")
    url = server.url.replace("redis://", f"redis://{name}:word@")
    return Settings(redis_url=url, namespace=NAMESPACE, _env_file=None)


def refused(server: RedisServer) -> list[str]:
    """Return what Redis refused so far, as it logs it."""
    log = redis.Redis(port=server.port, decode_responses=True).execute_command("ACL", "LOG")
    return [f"{entry['reason']} {entry['object']}" for entry in log]


def test_messages_commands_and_results_keep_within_the_prefix(server):
    settings = user_of(server, *WITHIN)
    app = make_app(settings)
    heard: list[str] = []

    @app.task(name="firstline.echo", shared=False)
    def echo(word: str) -> str:
        heard.append(word)
        return word

    app.conf.task_queues = [queue(settings, "cheap")]
    with start_worker(app, pool=POOL, concurrency=2, perform_ping_check=False, shutdown_timeout=20):
        sent = [echo.apply_async(("hello",), queue=queue(settings, "cheap"), priority=n) for n in (0, 7)]
        answers = app.control.ping(timeout=3)
        for one in sent:
            assert one.get(timeout=10) == "hello"
    assert heard == ["hello", "hello"]
    assert [answer for each in answers for answer in each.values()] == [{"ok": "pong"}]
    assert refused(server) == []


@pytest.mark.parametrize("rules", [WITHIN[:2], WITHIN[2:], WITHIN[1:]], ids=["no channels", "no keys", "not all keys"])
def test_a_user_that_lacks_something_is_told_what_at_the_start(server, rules, tmp_path):
    settings = user_of(server, *rules)
    told = refusal(connect(settings.redis_url), settings.keys, settings.redis_url)
    assert " ".join(WITHIN) in str(told)
    (found,) = [one for one in examine_machine(Place(settings, {}, {}, tmp_path / ".env")) if one.subject == "Redis"]
    assert (found.ok, found.text) == (False, told)
    env = {"FIRSTLINE_REDIS_URL": str(settings.redis_url), "FIRSTLINE_NAMESPACE": NAMESPACE}
    env |= {"FIRSTLINE_STATE_DIR": str(tmp_path), "FIRSTLINE_DATABASE_URL": f"sqlite:///{tmp_path}/x.db"}
    command = [sys.executable, "-m", "firstline.orchestrator.service.process"]
    ended = subprocess.run(command, env=os.environ | env, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1] == told
