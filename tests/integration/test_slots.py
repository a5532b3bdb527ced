"""The slots of a consuming process, on a real server: whatever comes of a message, or for one, they are given back."""

import json
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import redis
from celery import Celery
from celery.contrib.testing.worker import start_worker
from celery.worker import state
from redis.exceptions import ConnectionError as RedisConnectionError

from firstline.config.queues.app import make_app, queue
from firstline.config.queues.memory import Growth
from firstline.config.queues.serving import POOL
from firstline.config.settings import Settings
from tests.servers import RedisServer

QUEUE = "cheap"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def settings(server: RedisServer) -> Settings:
    return Settings(redis_url=server.url, namespace="slots", _env_file=None)  # type: ignore[call-arg]


@contextmanager
def consuming(settings: Settings, came: list[str], gate: Event | None = None) -> Iterator[tuple[Celery, Any]]:
    """Run a consumer of one queue as `serve` sets it up, whose task `note` keeps what it was given."""
    opened = gate or Event()
    app = make_app(settings)
    app.conf.task_queues = [queue(settings, QUEUE)]

    @app.task(name="note", ignore_result=True, shared=False)
    def note(text: str) -> None:
        came.append(text)

    @app.task(name="fails", ignore_result=True, shared=False)
    def fails() -> None:
        came.append("failed")
        raise RedisConnectionError("away")

    @app.task(name="waits", ignore_result=True, shared=False)
    def waits() -> None:
        came.append("waits")
        opened.wait()

    with start_worker(app, pool=POOL, concurrency=2, perform_ping_check=False, shutdown_timeout=20) as worker:
        yield app, worker


def send(app: Celery, settings: Settings, *arguments: object, name: str = "note") -> None:
    app.send_task(name, args=arguments, queue=queue(settings, QUEUE), ignore_result=True)


def eventually(true: Callable[[], bool], *, timeout_s: float = 12) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.05)
    return False


def test_a_task_that_fails_while_redis_is_away_gives_its_slot_back(settings, monkeypatch):
    def away(*_: object, **__: object) -> None:
        raise RedisConnectionError("away")

    came: list[str] = []
    with consuming(settings, came) as (app, _):
        # Celery notes in Redis the failure of a task that has another after it.
        monkeypatch.setattr(app.backend, "_fail_chain", away)
        for _ in range(4):
            (app.signature("fails", immutable=True) | app.signature("note", args=("then",))).apply_async(
                queue=queue(settings, QUEUE)
            )
        assert eventually(lambda: len(came) == 4), "the first two have taken all slots for ever"
        assert eventually(lambda: not state.reserved_requests and not state.active_requests)
        send(app, settings, "next")
        assert eventually(lambda: came[4:] == ["next"])


FOREIGN = {
    "no JSON": b"\xff{not json",
    "a number": b"1",
    "a list": b"[]",
    "no properties": b"{}",
    "nested too deep": b"[" * 100_000,
    "properties of another kind": b'{"properties": 3, "headers": 4, "body": 5}',
    "no delivery": b'{"properties": {"delivery_tag": "t"}, "headers": {}, "body": ""}',
}


@pytest.mark.parametrize("message", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_message_that_is_none_of_ours_ends_nothing(settings, message):
    came: list[str] = []
    with consuming(settings, came) as (app, worker):
        client = redis.Redis.from_url(settings.redis_url)
        client.lpush(settings.keys.queue(QUEUE), message)
        send(app, settings, "next")
        assert eventually(lambda: came == ["next"])
        assert eventually(lambda: not state.reserved_requests)
        assert worker.blueprint.state is not None


def forged(app: Celery, settings: Settings, change: Callable[[dict[str, Any]], None]) -> None:
    """Send a message of ours with something changed in it."""
    client = redis.Redis.from_url(settings.redis_url)
    name = queue(settings, "elsewhere")
    app.send_task("note", args=("forged",), queue=name, ignore_result=True, priority=0)
    message = json.loads(client.rpop(name.name) or b"")
    change(message)
    client.lpush(settings.keys.queue(QUEUE), json.dumps(message))


def body_of(*parts: object) -> str:
    return b64encode(json.dumps(parts).encode()).decode()


FORGED: dict[str, Callable[[dict[str, Any]], None]] = {
    "an unknown task": lambda message: message["headers"].update(task="other.task"),
    "a body that is no base64": lambda message: message.update(body="%%%"),
    "a body that is no JSON": lambda message: message.update(body="bm90IGpzb24="),
    "a body of another type": lambda message: message.update({"content-type": "application/x-python-serialize"}),
    "time limits that are none": lambda message: message["headers"].update(timelimit=7),
    "an expiry that is none": lambda message: message["headers"].update(expires={"a": 1}),
    "retries that are none": lambda message: message["headers"].update(retries="many"),
    "no id": lambda message: message["headers"].update(id=None),
    "a time that never comes": lambda message: message["headers"].update(eta="9999-12-31T23:59:59"),
    "no tag of its delivery": lambda message: message["properties"].update(delivery_tag=None),
    "a number as that tag": lambda message: message["properties"].update(delivery_tag=7),
    "packed as nobody packs": lambda message: message["headers"].update(compression="nope"),
    "arguments for another task": lambda message: message.update(body=body_of([], {"other": 1}, {})),
    "what follows is none": lambda message: message.update(
        body=body_of(["x"], {}, {"callbacks": 5, "chord": {"a": 1}})
    ),
    "a nesting bomb": lambda message: message.update(body=b64encode(b"[" * 50_000).decode()),
}


@pytest.mark.parametrize("change", FORGED.values(), ids=FORGED.keys())
def test_a_forged_message_ends_nothing_and_holds_no_slot(settings, change):
    came: list[str] = []
    with consuming(settings, came) as (app, _):
        forged(app, settings, change)
        send(app, settings, "next")
        assert eventually(lambda: "next" in came)
        assert eventually(lambda: not state.reserved_requests)


REFUSALS = {
    "full": (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
    "read-only": (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    "short of replicas": (
        ("CONFIG", "SET", "min-replicas-to-write", "1"),
        ("CONFIG", "SET", "min-replicas-to-write", "0"),
    ),
    "of another password": (
        ("ACL", "SETUSER", "default", "resetpass", ">other"),
        ("ACL", "SETUSER", "default", "nopass"),
    ),
}


@pytest.mark.parametrize(("refuse", "accept"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_redis_that_refuses_for_a_while_ends_no_process(settings, server, refuse, accept):
    came: list[str] = []
    with consuming(settings, came) as (app, _):
        send(app, settings, "before")
        assert eventually(lambda: came == ["before"])
        client = redis.Redis(port=server.port)
        connected = len(client.client_list())
        client.execute_command(*refuse)
        client.execute_command("CLIENT", "KILL", "USER", "default", "SKIPME", "yes")
        time.sleep(3)
        client.execute_command(*accept)
        send(app, settings, "after")
        assert eventually(lambda: came == ["before", "after"], timeout_s=40)
        # Each try to connect again that failed has closed what it had opened.
        assert eventually(lambda: len(client.client_list()) <= connected + 2)


@pytest.mark.parametrize(("refuse", "accept"), REFUSALS.values(), ids=REFUSALS.keys())
def test_what_cannot_be_acknowledged_holds_no_slot(settings, server, refuse, accept):
    came: list[str] = []
    gate = Event()
    client = redis.Redis(port=server.port)
    with consuming(settings, came, gate) as (app, _):
        # As many as there are slots, each done with while Redis takes no word of it.
        for _ in range(2):
            send(app, settings, name="waits")
        assert eventually(lambda: came == ["waits"] * 2)
        client.execute_command(*refuse)
        gate.set()
        assert eventually(lambda: not state.active_requests)
        client.execute_command(*accept)
        for n in range(4):
            send(app, settings, str(n))
        assert eventually(lambda: len(came) == 6), "the slots are taken for ever"
        # What Redis did not hear then, it is told with the next that is done.
        assert eventually(lambda: client.hlen(app.conf.broker_transport_options["unacked_key"]) == 0)


def test_a_full_redis_is_worked_off(settings, server):
    """It takes neither a note of what is delivered nor of what is done: 20 messages are ten times the slots."""
    came: list[str] = []
    app = make_app(settings)
    client = redis.Redis(port=server.port)
    gate = Event()
    with consuming(settings, came, gate):
        for _ in range(2):
            send(app, settings, name="waits")
        for n in range(20):
            send(app, settings, str(n))
        client.config_set("maxmemory", 1)
        gate.set()
        assert eventually(lambda: len(came) == 22)


@pytest.mark.parametrize("name", ["note", "fails"])
def test_after_each_message_the_process_looks_whether_it_has_grown(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    looked: list[bool] = []
    monkeypatch.setattr(Growth, "look", lambda _: looked.append(True))
    with consuming(settings, []) as (app, _):
        send(app, settings, *(["a"] if name == "note" else []), name=name)
        assert eventually(lambda: bool(looked))
