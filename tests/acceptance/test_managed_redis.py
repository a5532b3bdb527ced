"""A deployment on a managed Redis: a user name, a database of its own, one prefix for keys and channels, no more."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from firstline.config.queues.app import make_app
from firstline.config.settings import Settings, get_settings
from firstline.config.shared_state.redis import connect
from firstline.orchestrator import api
from firstline.orchestrator.monitoring.live_workers import look
from firstline.schemas.job import JobState
from firstline.schemas.tier import Limits
from tests.acceptance import workload
from tests.acceptance.processes import Deployment, running
from tests.redis_kinds import ManagedRedis
from tests.servers import free_port

pytestmark = pytest.mark.long
ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = "tenant42:jobs"
NEIGHBOUR = "tenant43:jobs"
ITEMS = 60


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("managed")
    made = Deployment(
        folder,
        f"sqlite:///{folder / 'jobs.db'}",
        workload.script(0.05),
        ManagedRedis(folder / "redis"),
        orchestrators=1,
        workers={"cheap,frontier": 1},
        env={"FIRSTLINE_NAMESPACE": NAMESPACE, "FIRSTLINE_EVENTS": "true"},
        given={name: {"FIRSTLINE_PULSE_FILE": str(folder / f"pulse-{name}")} for name in ("orchestrator", "worker")},
    )
    with running(made):
        yield made


def redis_of(deployment: Deployment) -> ManagedRedis:
    assert isinstance(deployment.redis, ManagedRedis)
    return deployment.redis


def typed(deployment: Deployment, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """Return what a command says."""
    command = [sys.executable, "-m", "firstline.orchestrator.cli", *arguments]
    given = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", **env}
    return subprocess.run(
        command, env=given, cwd=deployment.folder, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_whole_job_with_limits_and_a_budget_keeps_within_the_prefix(deployment):
    profile = deployment.profile()
    models = [tier.models[0].evolve(limits=Limits(requests_per_minute=60_000)) for tier in profile.tiers]
    tiers = [tier.evolve(models=(model,)) for tier, model in zip(profile.tiers, models, strict=True)]
    bounded = profile.evolve(tiers=tuple(tiers))
    request = workload.request(bounded, steps=2, name="managed", budget_usd=5.0)
    job = api.submit(request, list(workload.items(ITEMS, of="managed")))
    during = set()
    while not api.status(job).state.ended:
        during |= set(redis_of(deployment).admin_of_database.scan_iter(count=1000))
        time.sleep(0.05)
    assert (api.status(job).state, api.status(job).settled) == (JobState.DONE, ITEMS)
    kinds = {key.removeprefix(NAMESPACE).lstrip(":.").partition(":")[0] for key in during}
    assert {"budget", "limit", "claim", "heartbeat", "leader"} <= kinds
    assert {
        key for key in during if not key.startswith(f"{NAMESPACE}:") and not key.startswith(f"{NAMESPACE}.")
    } == set()
    assert redis_of(deployment).admin.dbsize() == 0, "database 0 is somebody else's"
    assert redis_of(deployment).refused == []


def test_commands_say_that_all_is_well(deployment):
    for name in ("orchestrator", "worker"):
        deadline = time.monotonic() + 30
        while (
            said := typed(deployment, "health", FIRSTLINE_PULSE_FILE=str(deployment.folder / f"pulse-{name}"))
        ).returncode:
            assert time.monotonic() < deadline, said.stdout + said.stderr
            time.sleep(0.5)
    workers = typed(deployment, "workers", "--json", "--profile", "recorded")
    assert f"127.0.0.1:{deployment.redis.port} answers" in typed(deployment, "doctor").stdout
    assert '"led": true' in workers.stdout, workers.stdout + workers.stderr
    assert redis_of(deployment).refused == []


def test_a_flower_sees_the_workers_and_the_queues(deployment):
    port = free_port()
    command = [sys.executable, "-m", "firstline.orchestrator.cli", "flower", "--port", str(port)]
    env = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "FLOWER_BASIC_AUTH": "ada:secret"}
    with (deployment.folder / "flower.log").open("ab") as log:
        process = subprocess.Popen(command, env=env, cwd=deployment.folder, stdout=log, stderr=log)
    workers: dict[str, Any] = {}
    waiting: dict[str, int] = {}
    try:
        deadline = time.monotonic() + 60
        # It asks the workers which queues they take from, one after the other.
        while len(workers) < 2 or f"{NAMESPACE}.cheap" not in waiting:
            assert time.monotonic() < deadline, (deployment.folder / "flower.log").read_text("utf-8")
            time.sleep(0.5)
            with suppress(httpx.HTTPError), httpx.Client(auth=("ada", "secret")) as client:
                workers = client.get(f"http://127.0.0.1:{port}/api/workers?status=true").json()
                queues = client.get(f"http://127.0.0.1:{port}/api/queues/length").json()
                waiting = {one["name"]: one["messages"] for one in queues["active_queues"]}
    finally:
        process.terminate()
        process.wait(timeout=20)
    assert waiting[f"{NAMESPACE}.cheap"] == 0
    assert redis_of(deployment).refused == []


def test_a_neighbour_with_another_prefix_sees_nothing_and_reaches_nothing(deployment):
    redis_of(deployment).add("neighbour", "tenant43")
    url = redis_of(deployment).url_of("neighbour")
    theirs = Settings(redis_url=url, namespace=NEIGHBOUR, _env_file=None)  # type: ignore[call-arg]
    with connect(theirs.redis_url) as client:
        assert not look(client, theirs.keys).workers
    assert look(api.engine().redis, get_settings().keys).workers
    app = make_app(theirs)
    assert app.control.ping(timeout=1) == []
    app.send_task("firstline.start", args=("x",), queue=f"{NEIGHBOUR}.orchestrator")
    assert len(api.engine().app.control.ping(timeout=2)) == 2
    keys = set(redis_of(deployment).admin_of_database.scan_iter(count=1000))
    assert f"{NEIGHBOUR}.orchestrator" in keys
    assert redis_of(deployment).refused == []
    # With somebody else's namespace it gets nowhere.
    wrong = Settings(redis_url=url, namespace=NAMESPACE, _env_file=None)  # type: ignore[call-arg]
    env = {"FIRSTLINE_REDIS_URL": str(wrong.redis_url)}
    said = typed(deployment, "doctor", "recorded", **env)
    assert f"allow it `~{NAMESPACE}:*" in said.stdout
    assert said.returncode == 1
