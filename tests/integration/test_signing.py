"""Signed messages on a real server: who has no key orders nothing, and a tier's workers speak for their tier alone."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from celery.contrib.testing.worker import start_worker

from firstline.config.queues.app import ORCHESTRATOR, make_app, queue
from firstline.config.queues.serving import POOL
from firstline.config.queues.signing import SENDERS, derived
from firstline.config.settings import Settings
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.engine.lifecycle import settle_trail
from firstline.schemas.batch import Trail
from firstline.schemas.errors import UserError
from tests.integration.jobs import answered, begun, flying, money
from tests.servers import RedisServer

MASTER = "m" * 64
OF_TOOLS = f"tools:{derived(MASTER.encode(), 'tools').decode()}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("signing"))
    server.start()
    yield server
    server.kill()


def settings(server: RedisServer, key: str | None) -> Settings:
    return Settings(redis_url=server.url, namespace="signed", signing_key=key, _env_file=None)  # type: ignore[call-arg]


@contextmanager
def consuming(of: Settings, name: str) -> Iterator[list[tuple[str, Any]]]:
    """Consume a queue with the keys of its process; yield what came: tasks, and who has signed them."""
    came: list[tuple[str, Any]] = []
    app = make_app(of)
    app.conf.task_queues = [queue(of, name)]
    for task in ("firstline.start", "firstline.judge", "firstline.attempt"):

        @app.task(name=task, bind=True, ignore_result=True, shared=False)
        def keep(self: Any, *_: object) -> None:
            came.append((self.name, vars(self.request).get(SENDERS)))

    with start_worker(app, pool=POOL, concurrency=1, perform_ping_check=False, shutdown_timeout=20):
        yield came


def send(of: Settings, task: str, name: str) -> None:
    make_app(of).send_task(task, args=("x",), queue=queue(of, name), ignore_result=True)


def last(came: list[tuple[str, Any]], of: Settings, name: str) -> list[tuple[str, Any]]:
    """Return what came until now: a message that is certainly taken is the last of it."""
    send(of, "firstline.attempt", name)
    deadline = time.monotonic() + 12
    while (not came or came[-1][0] != "firstline.attempt") and time.monotonic() < deadline:
        time.sleep(0.05)
    return came[:-1]


def test_what_orchestrators_send_is_taken_and_what_nobody_signed_is_not(server):
    whole, tools, nobody = (settings(server, key) for key in (MASTER, OF_TOOLS, None))
    with consuming(tools, "tools") as came:
        send(nobody, "firstline.start", "tools")
        send(settings(server, "o" * 64), "firstline.start", "tools")
        send(whole, "firstline.judge", "tools")
        assert last(came, whole, "tools") == [("firstline.judge", ["tools"])]


@pytest.mark.parametrize("name", ["cheap", ORCHESTRATOR])
def test_the_tools_worker_orders_nothing(server, name):
    whole, tools = settings(server, MASTER), settings(server, OF_TOOLS)
    with consuming(whole, name) as came:
        send(tools, "firstline.start", name)
        assert last(came, whole, name) == []
        came.clear()
        send(tools, "firstline.judge", name)
        assert last(came, whole, name) == ([("firstline.judge", ["tools"])] if name == ORCHESTRATOR else [])


CHANGED: dict[str, Callable[[dict[str, Any]], None]] = {
    "another task": lambda message: message["headers"].update(task="firstline.start"),
    "another body": lambda message: message.update(body="W1sieSJdLCB7fSwge31d"),
    "an expiry": lambda message: message["headers"].update(expires="2000-01-01T00:00:00"),
    "no signatures": lambda message: message["headers"].pop("firstline_signed"),
    "signatures of another kind": lambda message: message["headers"].update(firstline_signed=["cheap"]),
    "a signature of another kind": lambda message: message["headers"].update(firstline_signed={"cheap": 1}),
    "said senders": lambda message: message["headers"].update(firstline_signed={}, firstline_senders=["orchestrator"]),
}


def test_a_signed_message_that_was_changed_is_not_taken(server):
    whole = settings(server, MASTER)
    client = redis.Redis.from_url(server.url)
    send(whole, "firstline.judge", "cheap")
    (raw,) = [client.rpop(key) for key in client.keys("signed.cheap*")]
    send(whole, "firstline.judge", "frontier")
    (other,) = [client.rpop(key) for key in client.keys("signed.frontier*")]
    with consuming(whole, "cheap") as came:
        client.lpush("signed.cheap", raw)
        assert last(came, whole, "cheap") == [("firstline.judge", ["cheap"])]
        # One that was sent to another queue is none for this one.
        for name, forged in {
            "another queue": other,
            **{name: changed(raw, by) for name, by in CHANGED.items()},
        }.items():
            came.clear()
            client.lpush("signed.cheap", forged)
            assert last(came, whole, "cheap") == [], name


def changed(raw: bytes, change: Callable[[dict[str, Any]], None]) -> str:
    message = json.loads(raw)
    change(message)
    return json.dumps(message)


def test_a_tiers_workers_tell_of_their_own_batches_alone(engine: Context) -> None:
    job = begun(engine, 2)
    (batch, *_) = flying(engine, job)
    trail = answered(batch)
    forged = trail.evolve(items=tuple(one.evolve(item=one.item + 1) for one in trail.items))
    for told, senders, reason in (
        (trail, {"tools"}, "which is not theirs"),
        (forged, {batch.tier.queue}, "items that are not in it"),
        (trail.evolve(tier="tools"), {batch.tier.queue}, "another tier"),
        (trail.evolve(batch="none"), {batch.tier.queue}, "has no batch"),
    ):
        with pytest.raises(UserError, match=reason):
            settle_trail(engine, Trail.model_validate(told), frozenset(senders))
        assert money(engine, job)[0] == 0
    settle_trail(engine, trail, frozenset({batch.tier.queue}))
    assert money(engine, job)[0] > 0


@pytest.mark.parametrize("key", ["short", "tools:short", "tools:" + "x" * 31, "tools"])
def test_a_key_that_is_too_short_is_refused(server, key):
    with pytest.raises(UserError, match="at least 32 characters"):
        make_app(settings(server, key))
