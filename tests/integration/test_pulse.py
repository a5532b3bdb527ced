"""A process's proof that it takes messages, on a real Redis-protocol server and a real Celery consumer."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from celery.contrib.testing.worker import start_worker

from firstline.config.queues.app import make_app, queue
from firstline.config.queues.liveness import ENDS_AFTER_S, Pulse, pulse, silent_s
from firstline.config.queues.serving import POOL
from firstline.config.queues.slot_watch import SlotWatch
from firstline.config.settings import Settings
from tests.servers import RedisServer

EVERY_S = 0.1


@pytest.fixture
def settings(redis_url: str, tmp_path: Path) -> Settings:
    return Settings(redis_url=redis_url, namespace="pulsed", pulse_file=tmp_path / "pulse", _env_file=None)


@contextmanager
def consuming(settings: Settings) -> Iterator[tuple[Pulse, Any]]:
    """Run a consumer of one queue and of its own pulses, as `firstline.config.queues.serving` sets it up."""
    app = make_app(settings)
    own = pulse(app, settings, threads=2, watch=SlotWatch(60.0))
    assert own is not None
    own.every_s = EVERY_S
    app.conf.task_queues = [queue(settings, "cheap"), own.queue]
    with (
        own.beating(),
        start_worker(app, pool=POOL, concurrency=2, perform_ping_check=False, shutdown_timeout=20) as worker,
    ):
        yield own, worker


def eventually(true: Callable[[], bool], *, timeout_s: float = 15) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.02)
    return False


def test_messages_of_its_own_come_through_again_and_again(settings):
    with consuming(settings):
        assert eventually(settings.pulse_file.exists)
        first = settings.pulse_file.stat().st_mtime_ns
        assert eventually(lambda: settings.pulse_file.stat().st_mtime_ns > first)


def test_a_process_that_answers_pings_but_takes_no_messages_falls_silent(settings, redis_url, monkeypatch):
    with consuming(settings) as (own, worker):
        assert eventually(settings.pulse_file.exists)
        with monkeypatch.context() as deaf:
            deaf.setattr(worker.consumer.task_consumer.channel.qos, "can_consume", lambda: False)
            # The wait that is under way ends by itself.
            time.sleep(1.5)
            settings.pulse_file.unlink()
            assert own.app.control.ping(timeout=1), "Celery's own ping finds nothing wrong"
            assert silent_s(settings) is None
            assert piled_up(redis_url) <= 1, "what nobody takes does not pile up"
            ended: list[object] = []
            own.watch.end = ended.append
            assert not ended
            own.clock = lambda: time.monotonic() + ENDS_AFTER_S
            assert eventually(lambda: bool(ended)), "what is deaf for minutes ends itself"
        assert eventually(settings.pulse_file.exists), "it hears again"


def piled_up(redis_url: str) -> int:
    client = redis.Redis.from_url(redis_url, decode_responses=True)
    return sum(client.llen(name) for name in client.scan_iter("pulsed.pulse.*", _type="list"))


def test_pulses_go_on_after_redis_was_killed_and_started_again(tmp_path):
    server = RedisServer(tmp_path / "redis")
    server.start()
    settings = Settings(redis_url=server.url, namespace="pulsed", pulse_file=tmp_path / "pulse", _env_file=None)
    try:
        with consuming(settings):
            assert eventually(settings.pulse_file.exists)
            server.kill()
            time.sleep(1)
            settings.pulse_file.unlink()
            assert silent_s(settings) is None
            server.start()
            assert eventually(settings.pulse_file.exists, timeout_s=30)
    finally:
        server.kill()


def test_its_queue_goes_by_itself(settings, redis_url):
    with consuming(settings) as (own, _):
        assert eventually(settings.pulse_file.exists)
    client = redis.Redis.from_url(redis_url, decode_responses=True)
    assert client.zscore("pulsed._kombu.binding_deadlines", own.queue.name) is not None
    assert not client.exists(f"pulsed._kombu.binding_permanent.{own.queue.name}")
