"""Why a job does not move: told by status, the list of jobs, the job's page and the doctor, from one place."""

import json
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from firstline.config.settings import get_settings
from firstline.orchestrator import api, cli
from firstline.orchestrator.core.job import Job
from firstline.orchestrator.monitoring.live_workers import Crowd
from firstline.orchestrator.monitoring.model_health import ModelHealth
from firstline.orchestrator.monitoring.obstacles import ObstacleKind, Scene, obstacles, obstacles_in
from firstline.orchestrator.store.gauges import Out, ParkedCount
from firstline.schemas.job import JobState, Options
from firstline.schemas.plan import Plan, PlannedStep, Step
from firstline.schemas.tier import Model, Profile, Tier
from tests.unit.web_house import build_house

SOON = datetime.now(UTC) + timedelta(minutes=5)
PROFILE = Profile(
    name="mine",
    tiers=(
        Tier(name="cheap", models=(Model(name="openai/small"), Model(name="openai/other"))),
        Tier(name="frontier", models=(Model(name="openai/big"),)),
    ),
)
PLAN = Plan(
    workflow="w",
    steps=(PlannedStep(step=Step(name="sort", skill="sort"), segment=0, start_tier="cheap"),),
    output="sort",
)
ALIVE = Crowd(by_queue=Counter({"cheap": 1, "frontier": 1}), led=True)
COOLING = ModelHealth(tier="cheap", model="openai/small", cooling_until=SOON, cooling_after="server errors")


def scene(state=JobState.RUNNING, *, reason=None, **known) -> Scene:
    job = Job(
        id="1129-0000abcd",
        name="w",
        state=state,
        segment=0,
        items=10,
        budget_usd=None,
        tenant="default",
        plan=PLAN,
        profile=PROFILE,
        options=Options(profile="mine"),
        folders=(),
        reason=reason,
    )
    known = {"held_by": None, "outs": (), "parked": (), "crowd": ALIVE, "redis": "localhost:6379", **known}
    return Scene(job=job, **known)


def out(tier="cheap", *, queued=5, running=0) -> Out:
    return Out("1129-0000abcd", tier, running, queued, 3.0 if queued else None)


@pytest.mark.parametrize(
    ("known", "kind", "told"),
    [
        pytest.param(
            scene(crowd=None, redis=None),
            ObstacleKind.REDIS,
            "no `firstline run` is under way here, and FIRSTLINE_REDIS_URL is not set; go on: firstline resume 1129-",
            id="nothing runs here",
        ),
        pytest.param(scene(crowd=None), ObstacleKind.REDIS, "Redis at localhost:6379 does not answer", id="no Redis"),
        pytest.param(
            scene(JobState.SUBMITTED, crowd=Crowd()),
            ObstacleKind.ORCHESTRATOR,
            "no orchestrator is alive; start one: firstline orchestrator",
            id="no orchestrator",
        ),
        pytest.param(
            scene(outs=[out(queued=7)], crowd=Crowd(by_queue=Counter({"frontier": 1}), led=True)),
            ObstacleKind.WORKER,
            "no worker serves tier 'cheap', which 7 subtasks wait for; start one: "
            "firstline worker --tier cheap --profile mine",
            id="no worker",
        ),
        pytest.param(
            scene(outs=[out()], models=[COOLING, COOLING.evolve(model="openai/other")]),
            ObstacleKind.MODELS,
            "every model of tier 'cheap' is left alone (openai/small after server errors, openai/other after server "
            f"errors); the first is tried again at {SOON:%H:%M:%S} UTC",
            id="all models cool down",
        ),
        pytest.param(
            scene(parked=[ParkedCount("deferred", "cheap", 1, SOON)]),
            ObstacleKind.LIMIT,
            "1 subtask waits for the limits of tier 'cheap'",
            id="a limit",
        ),
        pytest.param(
            scene(parked=[ParkedCount("review", "frontier", 3, None)]),
            ObstacleKind.PERSON,
            "3 subtasks wait for a person; firstline review list --job 1129-0000abcd",
            id="reviews",
        ),
        pytest.param(
            scene(parked=[ParkedCount("bulked", "cheap", 40, None)]),
            ObstacleKind.PROVIDER_BATCH,
            "40 subtasks wait for the Batch API of tier 'cheap'",
            id="a provider's batch",
        ),
        pytest.param(
            scene(JobState.PAUSED, reason="the job's budget is used up", held_by="job.x"),
            ObstacleKind.BUDGET,
            "the job's budget is used up",
            id="its budget",
        ),
        pytest.param(
            scene(JobState.PAUSED, reason="paused by a person"),
            ObstacleKind.PERSON,
            "paused by a person; firstline resume 1129-0000abcd",
            id="paused by a person",
        ),
        pytest.param(
            scene(JobState.AWAITING_APPROVAL),
            ObstacleKind.PERSON,
            "its plan waits for a person's yes; firstline approve 1129-0000abcd",
            id="its plan",
        ),
        pytest.param(scene(JobState.RECEIVING), ObstacleKind.ITEMS, "its items are still being handed in", id="items"),
    ],
)
def test_each_thing_that_a_job_may_wait_for_is_told_with_its_remedy(known, kind, told):
    (found,) = obstacles_in(known)
    assert found.kind is kind
    assert told in found.sentence


@pytest.mark.parametrize(
    "known",
    [
        pytest.param(scene(outs=[out(queued=0, running=5)]), id="it is worked on"),
        pytest.param(scene(outs=[out()], models=[COOLING, COOLING.evolve(cooling_until=None)]), id="one model is left"),
        pytest.param(scene(outs=[out("frontier")], models=[COOLING]), id="the other tier's models cool down"),
        pytest.param(scene(JobState.DONE, crowd=None), id="it is done"),
        pytest.param(scene(JobState.SUBMITTED), id="it begins in a moment"),
    ],
)
def test_a_job_that_gets_on_or_has_ended_waits_for_nothing(known):
    assert obstacles_in(known) == ()


# On a deployment --------------------------------------------------------------------------------------------------


@pytest.fixture
def house(tmp_path, monkeypatch):
    return build_house(tmp_path, monkeypatch)


def alive(*queues: str, batches=()) -> None:
    """Let an orchestrator lead and one worker serve queues."""
    client, keys = api.engine().redis, api.engine().settings.keys
    client.set(keys.leader, "o1")
    # As `workers.heartbeat` tells it: jobs with how many of their batches are in work.
    held = {"jobs": {"1129-0000abcd": 2}, "batches": list(batches)}
    sign = {"worker": "w1", "queues": queues, "threads": 4, "stopping": False, **held}
    client.set(keys.heartbeat("w1"), json.dumps(sign))
    client.zadd(keys.workers, {"w1": time.time()})


def test_what_is_missing_goes_away_as_it_is_started(house):
    job = house.submit(1)

    def kinds() -> list[str]:
        return [one.kind.value for one in obstacles(api.engine(), [job])[job]]

    assert kinds() == ["orchestrator", "worker"]
    alive("frontier")
    assert kinds() == ["worker"]
    alive("cheap", "frontier")
    assert kinds() == []
    keys = api.engine().settings.keys
    for model in ("openai/small", "openai/other"):
        name = next(key for key in _endpoints() if key.startswith(model))
        api.engine().redis.hset(keys.cooldown(name), mapping={"until": time.time() + 60, "kind": "server"})
    assert kinds() == ["models"]
    api.pause(job)
    assert kinds() == ["person"]
    api.cancel(job)
    assert kinds() == []


def _endpoints() -> list[str]:
    from firstline.config.catalogue.catalogue import load_catalogue
    from firstline.workers.providers.endpoint import endpoint

    return [endpoint(model) for model in load_catalogue().profile("house").models]


def test_status_jobs_doctor_and_the_pages_tell_the_same(house, capsys):
    job = house.submit(1)
    told = "no worker serves tier 'cheap', which 1 subtask waits for"
    client = house.client()
    for path in ("/", f"/jobs/{job}", f"/v1/jobs/{job}", "/v1/jobs"):
        assert told in client.get(path).text.replace("&#39;", "'"), path
    for command in (["status", job], ["jobs"], ["status", job, "--json"], ["doctor", "--json"]):
        assert cli.main(command) == 0
        assert told in " ".join(capsys.readouterr().out.split()), command


def test_workers_are_shown_with_queues_and_models(house, capsys):
    house.submit(1)
    assert cli.main(["workers"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "no orchestrator is alive: nothing begins" in out
    assert "no worker is alive" in out
    alive("cheap", "frontier")
    name = next(key for key in _endpoints() if key.startswith("openai/big"))
    keys = api.engine().settings.keys
    api.engine().redis.hset(keys.cooldown(name), mapping={"until": time.time() + 60, "kind": "server"})
    time.sleep(1.1)
    assert cli.main(["workers", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["led"]
    assert [(one["worker"], one["jobs"], one["threads"]) for one in found["workers"]] == [("w1", ["1129-0000abcd"], 4)]
    cheap = next(queue for queue in found["queues"] if queue["tier"] == "cheap")
    assert (cheap["workers"], cheap["queued"], cheap["running"]) == (1, 1, 0)
    cooling = [model["model"] for model in found["models"] if model["cooling_until"]]
    assert cooling == ["openai/big"]
    page = house.client().get("/workers").text
    for text in ("An orchestrator is at work.", "w1", "after server errors", "openai/small"):
        assert text in page


def test_without_a_redis_the_command_says_how_there_are_workers(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FIRSTLINE_REDIS_URL", raising=False)
    get_settings.cache_clear()
    assert cli.main(["workers"]) == 2
    assert "no `firstline run` is under way here" in capsys.readouterr().err
    get_settings.cache_clear()
