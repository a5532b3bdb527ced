"""A short round of chaos on real processes: what is killed, wiped or fails over loses nothing, and no slot."""

import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from bench.chaos.outcome import play, targets
from bench.chaos.redis_troubles import redis_fails_over
from bench.chaos.rest import pulses
from bench.chaos.scene import Stage
from firstline.orchestrator import api
from firstline.schemas.job import JobState
from tests.acceptance.processes import Deployment, running
from tests.acceptance.workload import Findings, check, in_flight, items, request, script
from tests.proxy import Proxy
from tests.servers import RedisServer

STEPS = 3
#: Seconds that an answer may take to be kept on a machine that does much else.
BUSY_S = 1.0
pytestmark = [pytest.mark.timeout(300), pytest.mark.soak]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> RedisServer:
    return RedisServer(tmp_path_factory.mktemp("redis") / "redis")


@pytest.fixture(scope="module")
def way(server: RedisServer) -> Iterator[Proxy]:
    way = Proxy(server.port)
    way.start()
    yield way
    way.stop()


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, server: RedisServer, way: Proxy) -> Iterator[Deployment]:
    folder: Path = tmp_path_factory.mktemp("chaos")
    made = Deployment(
        folder,
        f"sqlite:///{folder / 'firstline.db'}",
        script(),
        server,
        redis_url=way.url,
        env={"FIRSTLINE_LOG_LEVEL": "WARNING"},
        given=pulses(folder / "pulses"),
    )
    with running(made) as deployed:
        yield deployed
    shutil.rmtree(folder, ignore_errors=True)


def begin(deployment: Deployment, name: str, count: int) -> tuple[str, int]:
    """Submit a job and wait until a part of it is done; return it and where the provider's log of it begins."""
    line = len(deployment.paid())
    job = api.submit(request(deployment.profile(), steps=STEPS, name=name), items(count, of=name))
    while api.status(job).settled < count / 5:
        time.sleep(0.1)
    return job, line


def finish(deployment: Deployment, job: str, line: int) -> Findings:
    deadline = time.monotonic() + 200
    while not api.status(job).state.ended:
        assert time.monotonic() < deadline, api.status(job)
        time.sleep(0.2)
    time.sleep(1)
    return check(deployment.database_url, job, deployment.paid()[line:], steps=STEPS, profile=deployment.profile())


def assert_sound(found: Findings, *, flying: int) -> None:
    assert found.state == JobState.DONE
    assert (found.lost, found.settled_twice, found.unsettled_steps) == (0, 0, 0)
    assert found.paid_twice <= flying
    assert found.unrecorded <= flying
    assert found.off_usd < 1e-6


def test_a_killed_worker_and_a_killed_orchestrator_lose_nothing(deployment: Deployment) -> None:
    job, line = begin(deployment, "killed", 150)
    deployment.kill("orchestrator-0")
    at = time.time()
    deployment.kill("worker-cheap-0")
    found = finish(deployment, job, line)
    assert_sound(found, flying=in_flight(deployment.paid()[line:], at, model="cheap", slack_s=BUSY_S))


def test_a_wiped_redis_loses_nothing_and_the_job_goes_on_by_itself(deployment: Deployment) -> None:
    job, line = begin(deployment, "wiped", 150)
    paid, at = deployment.paid()[line:], time.time()
    outstanding = len(paid) - api.status(job).attempts
    redis.Redis(port=deployment.redis.port).flushall()
    found = finish(deployment, job, line)
    assert_sound(found, flying=max(0, outstanding) + in_flight(deployment.paid()[line:], at, slack_s=BUSY_S))


def test_running_calls_of_a_cancelled_job_end_within_seconds(deployment: Deployment) -> None:
    job, line = begin(deployment, "cancelled", 400)
    assert api.cancel(job)
    time.sleep(4)
    paid = len(deployment.paid())
    time.sleep(2)
    assert len(deployment.paid()) == paid
    assert api.status(job).state is JobState.CANCELLED
    del line


def test_a_stopped_worker_hands_back_and_nothing_is_paid_twice(deployment: Deployment) -> None:
    job, line = begin(deployment, "stopped", 150)
    deployment.children["worker-cheap-0"].send(signal.SIGTERM)
    assert_sound(finish(deployment, job, line), flying=0)


def test_replicas_that_lag_are_promoted_and_no_item_dollar_process_or_slot_is_lost(
    deployment: Deployment, way: Proxy
) -> None:
    outcome = play(redis_fails_over, Stage(deployment, way, None, None, kill_every_s=5.0), 200)
    assert [one for one in targets([outcome]) if not one["met"]] == []
