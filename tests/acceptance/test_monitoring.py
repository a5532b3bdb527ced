"""A deployment as those who watch it see it: a real Flower, a scraper of metrics, a collector of traces."""

import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from firstline.orchestrator import api
from firstline.orchestrator.core.sharding import SHARD_ITEMS
from firstline.orchestrator.engine.release import PER_SLOT
from firstline.schemas.job import JobState
from tests.acceptance.collector import Collector, collecting
from tests.acceptance.web_deployment import WebDeployment, web_deployment
from tests.servers import free_port

pytestmark = pytest.mark.soak

#: Stands in every item.
CONTENT = "my parcel of order"
METRICS_TOKEN = "metrics-token-of-the-test"
LABEL = re.compile(r"^\(job=\S+ step=\S+ tier=\w+ attempt=\d+(-\d+)? batch=\S+ subtasks=\d+\)$")
ITEMS = 30


@dataclass
class Watched:
    """What a job left behind at each of those who watch."""

    web: WebDeployment
    flower_url: str
    collector: Collector
    job: str

    def flower(self, path: str, **options) -> httpx.Response:
        return httpx.get(f"{self.flower_url}{path}", auth=("ada", "secret"), timeout=30, **options)

    def metrics(self) -> dict[tuple[str, tuple[str, ...]], float]:
        answer = httpx.get(f"{self.web.url}/metrics", headers={"authorization": f"Bearer {METRICS_TOKEN}"})
        assert answer.status_code == 200, answer.text
        return {
            (sample.name, tuple(sorted(sample.labels.values()))): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder, flower_port = tmp_path_factory.mktemp("watched"), free_port()
    flower_url = f"http://127.0.0.1:{flower_port}"
    with collecting() as collector:
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "300",
            "FIRSTLINE_METRICS_TOKEN": METRICS_TOKEN,
            "FIRSTLINE_FLOWER_URL": flower_url,
            "FIRSTLINE_WEB_URL": "http://pages.example.org",
        }
        workers = ("cheap", "frontier")
        with web_deployment(folder, workers=workers, **env) as web, flower(web, flower_port):
            # Workers send no events before a Flower asks for them.
            wait_for(lambda: is_heard(web, flower_url))
            job = web.submit("triage", ITEMS)
            assert web.wait(job) is JobState.DONE
            made = Watched(web, flower_url, collector, job)
            wait_for(lambda: any(span.name.startswith("job ") for span in collector.of(job)))
            wait_for(lambda: ("firstline_verdicts_total", ("accept", "cheap")) in made.metrics())
            time.sleep(3)
            yield made


@contextmanager
def flower(web: WebDeployment, port: int) -> Iterator[None]:
    argv = [sys.executable, "-m", "firstline.orchestrator.cli", "flower", "--port", str(port), "--read-only"]
    root = Path(__file__).resolve().parents[2]
    env = {**os.environ, **web.deployment.settings, "PYTHONPATH": str(root / "src"), "FLOWER_BASIC_AUTH": "ada:secret"}
    with (web.folder / "flower.log").open("ab") as log:
        process = subprocess.Popen(argv, env=env, cwd=web.folder, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


def is_heard(web: WebDeployment, flower_url: str) -> bool:
    """Whether a small job's messages are seen in Flower."""
    try:
        job = web.submit("triage", 1)
        web.wait(job)
        tasks = httpx.get(f"{flower_url}/api/tasks", auth=("ada", "secret"), timeout=30).json()
    except httpx.HTTPError:
        time.sleep(0.5)
        return False
    seen = {task["name"] for task in tasks.values() if job in (task["args"] or "")}
    return {"firstline.attempt", "firstline.judge"} <= seen


def wait_for(condition: Callable[[], bool], *, timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)


# Flower -------------------------------------------------------------------------------------------------------------


def test_flower_shows_each_message_by_job_step_tier_and_attempt(watched: Watched) -> None:
    tasks = watched.flower("/api/tasks").json()
    mine = [task for task in tasks.values() if f"job={watched.job}" in (task["args"] or "")]
    names = Counter(task["name"] for task in mine)
    assert names["firstline.attempt"] >= 2
    # What goes on in a chord's slot keeps that slot's id, so that later judges stand in the place of earlier ones.
    assert 0 < names["firstline.judge"] <= names["firstline.attempt"]
    labels = [task["args"] for task in mine if task["name"] in ("firstline.attempt", "firstline.judge")]
    assert [label for label in labels if not LABEL.match(label)] == []
    assert {re.search(r"tier=(\w+)", label)[1] for label in labels} == {"cheap", "frontier"}
    assert {task["kwargs"] for task in mine} <= {"{}", ""}


def test_flower_shows_nothing_of_what_messages_carry(watched: Watched) -> None:
    tasks = watched.flower("/api/tasks")
    assert CONTENT not in tasks.text
    assert "delivery" not in tasks.text
    attempts = [key for key, task in tasks.json().items() if task["name"] == "firstline.attempt"]
    for key in attempts[:5]:
        page = watched.flower(f"/task/{key}")
        assert page.status_code == 200
        assert CONTENT not in page.text
        assert "delivery" not in page.text


def test_flower_shows_the_workers_of_each_tier(watched: Watched) -> None:
    workers = watched.flower("/api/workers?refresh=1").json()
    kinds = Counter(name.partition(".")[0] for name in workers)
    assert kinds == {"cheap": 1, "frontier": 1, "orchestrator": 1}
    queues = {
        name.partition(".")[0]: {queue["name"] for queue in about["active_queues"]} for name, about in workers.items()
    }
    assert queues["cheap"] == {"firstline.cheap"}


def test_flower_is_shown_to_nobody_without_the_password(watched: Watched) -> None:
    for path in ("/", "/tasks", "/api/workers", "/api/tasks", "/broker", "/metrics"):
        assert httpx.get(f"{watched.flower_url}{path}", timeout=30).status_code == 401, path
        assert httpx.get(f"{watched.flower_url}{path}", auth=("ada", "wrong"), timeout=30).status_code == 401, path
    assert watched.flower("/metrics").status_code == 200


def test_a_read_only_flower_refuses_to_change_anything(watched: Watched) -> None:
    worker = next(name for name in watched.flower("/api/workers?refresh=1").json() if name.startswith("cheap"))
    task = next(iter(watched.flower("/api/tasks").json()))
    for path in (
        f"worker/shutdown/{worker}",
        f"worker/pool/grow/{worker}?n=1",
        f"worker/queue/cancel-consumer/{worker}?queue=firstline.cheap",
        f"task/revoke/{task}?terminate=true",
        "task/async-apply/firstline.start",
        "task/send-task/firstline.submit",
    ):
        answer = httpx.post(f"{watched.flower_url}/api/{path}", auth=("ada", "secret"), json={"args": []}, timeout=30)
        assert answer.status_code == 403, (path, answer.text)
    assert worker in watched.flower("/api/workers?refresh=1").json()


def test_a_task_in_flower_links_to_its_jobs_page_and_back(watched: Watched) -> None:
    tasks = watched.flower("/api/tasks").json()
    key = next(key for key, task in tasks.items() if f"job={watched.job}" in (task["args"] or ""))
    address = f"http://pages.example.org/jobs/{watched.job}"
    assert f'<a href="{address}">{address}</a>' in watched.flower(f"/task/{key}").text
    browser = watched.web.client()
    browser.post("/login", data={"token": watched.web.token})
    page = browser.get(f"/jobs/{watched.job}").text
    there = re.search(rf'href="({re.escape(watched.flower_url)}/tasks\?name=[^"]+)"', page)[1]
    assert httpx.get(there, auth=("ada", "secret"), timeout=30).status_code == 200
    wanted = httpx.URL(there).params["name"]
    found = watched.flower(
        "/tasks/datatable",
        params={
            "draw": 1,
            "start": 0,
            "length": 100,
            "search[value]": f"name:{wanted}",
            "order[0][column]": 0,
            "columns[0][data]": "name",
            "order[0][dir]": "asc",
        },
    ).json()
    assert found["recordsFiltered"] == sum(f"job={watched.job}" in (task["args"] or "") for task in tasks.values())
    assert all(f"job={watched.job}" in row["args"] for row in found["data"])


# Metrics ------------------------------------------------------------------------------------------------------------


def test_counters_agree_with_what_the_database_has(watched: Watched) -> None:
    found = watched.metrics()
    jobs = api.jobs(limit=100)
    costs = sum(job.cost_usd for job in jobs)

    def total(name: str) -> float:
        return sum(value for (sample, _), value in found.items() if sample == name)

    assert total("firstline_cost_usd_total") == pytest.approx(costs)
    reports = [api.report(job.job) for job in jobs]
    assert total("firstline_calls_total") == sum(model.attempts for report in reports for model in report.models)
    assert total("firstline_call_seconds_count") == total("firstline_calls_total")
    assert total("firstline_escalations_total") == found["firstline_verdicts_total", ("cheap", "escalate")] > 0
    assert found["firstline_jobs", ("done",)] == len(jobs)


def test_the_crew_is_seen_by_tier_and_is_idle(watched: Watched) -> None:
    found = watched.metrics()
    assert found["firstline_workers", ("cheap",)] == 1
    assert found["firstline_slots", ("cheap",)] == 64
    assert found["firstline_load_ratio", ("cheap",)] == 0
    assert found["firstline_orchestrator_leading", ()] == 1
    assert found["firstline_queue_messages", ("orchestrator",)] == 0
    assert max(value for (name, _), value in found.items() if name == "firstline_worker_silent_seconds") < 6


def test_load_rises_while_a_job_runs_and_falls_when_it_has_ended(watched: Watched) -> None:
    job = watched.web.submit("triage", 400)
    peak = 0.0
    while not api.status(job).state.ended:
        with watched.web.client(METRICS_TOKEN) as client:
            cheap = client.get("/v1/scaling").json()["tiers"]["cheap"]
        assert cheap["load"] == pytest.approx((cheap["queued"] + cheap["running"]) / cheap["slots"])
        peak = max(peak, cheap["load"])
        time.sleep(0.2)
    assert 0.5 < peak <= PER_SLOT + SHARD_ITEMS / 64
    wait_for(lambda: watched.metrics()["firstline_load_ratio", ("cheap",)] == 0)


# Traces -------------------------------------------------------------------------------------------------------------


def test_a_job_is_one_trace_across_its_processes(watched: Watched) -> None:
    spans = watched.collector.of(watched.job)
    assert {span.trace for span in spans} == {spans[0].trace}
    assert {span.service for span in spans} == {"firstline-producer", "firstline-orchestrator", "firstline-worker"}
    kinds = Counter(span.name.partition(" ")[0] for span in spans)
    assert kinds["job"] == 1
    assert kinds["plan"] == 1
    assert kinds["batch"] == kinds["judge"] >= 2
    assert kinds["chat"] >= ITEMS


def test_every_span_hangs_below_the_jobs_root(watched: Watched) -> None:
    spans = {span.id: span for span in watched.collector.of(watched.job)}
    (root,) = [span for span in spans.values() if span.name.startswith("job ")]
    assert root.parent == ""
    for span in spans.values():
        above = spans.get(span.parent)
        expected = {"chat": "batch", "batch": "job", "judge": "job", "plan": "job", "job": None}[span.name.split()[0]]
        assert (above.name.split()[0] if above else None) == expected, span.name


def test_calls_are_told_in_the_words_of_the_genai_conventions(watched: Watched) -> None:
    spans = watched.collector.of(watched.job)
    calls = [span.attributes for span in spans if span.name.startswith("chat ")]
    assert {call["gen_ai.request.model"] for call in calls} == {"cheap", "frontier"}
    assert {call["gen_ai.provider.name"] for call in calls} == {"openai"}
    attempts = sum(model.attempts for model in api.report(watched.job).models)
    assert len(calls) == attempts
    tokens = sum(call["gen_ai.usage.input_tokens"] for call in calls)
    assert tokens == sum(model.input_tokens for model in api.report(watched.job).models)
    assert CONTENT not in "".join(span.text for span in spans)
