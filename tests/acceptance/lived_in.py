"""A deployment that has been lived in: jobs in every state, certificates, comparisons, families, people's questions."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from firstline.config.catalogue.yaml_text import as_yaml
from firstline.orchestrator import api
from firstline.orchestrator.store import students
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.quality_tables import StudentRow
from firstline.orchestrator.web.access import COOKIE, form_guard
from firstline.schemas.job import JobState
from tests.acceptance.web_deployment import WebDeployment, ticket, web_deployment

SCRIPT = """
seed: 7
models:
  cheap:
    latency: {kind: uniform, low: 0.01, high: 0.05}
    answer: {kind: from_schema, accuracy: 0.92}
    confidence: {right: 0.97, wrong: 0.5, concentration: 60}
    faults: [{kind: off_schema, probability: 0.06}, {kind: overloaded, probability: 0.04}]
  frontier:
    latency: {kind: uniform, low: 0.02, high: 0.08}
    answer: {kind: from_schema}
  slow:
    latency: {kind: constant, seconds: 2}
    answer: {kind: from_schema}
"""
SURE = """
name: sort_surely
description: Says what a ticket is about, with a certified threshold.
instructions: You sort support tickets of an online shop. Name the topic.
input: {text: {description: "The ticket, as it came in."}}
output:
  type: object
  properties: {topic: {enum: [delivery, payment, returns, account]}}
  required: [topic]
  additionalProperties: false
confidence: [{kind: mean_logprob}]
policy: {attempts_per_tier: 1, audit_share: 0.3, max_loss: 0.2}
"""
NEVER = """
name: never_right
description: Passes no check, and is given up.
instructions: Say how much is to be paid back.
input: {text: {}}
output:
  type: object
  properties: {amount: {type: number}}
  required: [amount]
  additionalProperties: false
checks: [{kind: expression, expression: "answer.amount == 4242", hint: "The amount is 4242."}]
policy: {attempts_per_tier: 1}
"""


@dataclass
class LivedIn:
    """What is there to be looked at."""

    web: WebDeployment
    #: By what became of them.
    jobs: dict[str, str]
    calibration: str
    comparison: str
    #: Id of the one that was begun, and number of what it found.
    tuning: tuple[str, int]
    #: Number of an item of the job that is done which climbed.
    climbed: int
    #: The question that waits for a person: job and item.
    question: tuple[str, str]


@contextmanager
def lived_in(folder: Path) -> Iterator[LivedIn]:
    """Run a deployment for the length of the block in which everything that a page shows has happened."""
    with web_deployment(folder, script=SCRIPT, FIRSTLINE_SHADOW_SHARE="1") as web:
        _furnish(web)
        yield _lived(web)


@dataclass
class Browser:
    """Somebody who fills in forms."""

    client: httpx.Client

    @classmethod
    @contextmanager
    def of(cls, web: WebDeployment) -> Iterator["Browser"]:
        """Be logged in for the length of the block."""
        with httpx.Client(base_url=web.url, timeout=60) as client:
            client.post("/login", data={"token": web.token})
            yield cls(client)

    def get(self, path: str) -> str:
        return self.client.get(path).text

    def begin(self, path: str, fields: dict[str, str]) -> str:
        """Send a form; return the id of what it began."""
        guard = form_guard(self.client.cookies[COOKIE])
        answer = self.client.post(path, data={**fields, "guard": guard})
        assert answer.status_code == 303, answer.text
        return answer.headers["location"].rpartition("/")[2]


def _furnish(web: WebDeployment) -> None:
    home = web.folder / "home"
    (home / "skills/sort_surely.yaml").write_text(SURE)
    (home / "skills/never_right.yaml").write_text(NEVER)
    profile = web.deployment.profile()
    cheap, frontier = profile.tiers
    slow = cheap.evolve(models=(cheap.models[0].evolve(name="openai/slow"),), concurrency=2)
    nobody = cheap.evolve(name="gpu", queue="gpu")
    for name, tiers in (("leisurely", (slow, frontier)), ("unserved", (nobody, frontier))):
        (home / f"tiers/{name}.yaml").write_text(as_yaml(profile.evolve(name=name, tiers=tiers)))


def _lived(web: WebDeployment) -> LivedIn:
    texts = "\n".join(f'{{"id": "{one["id"]}", "text": "{one["text"]}"}}' for one in map(ticket, range(150)))
    with web.client() as client, Browser.of(web) as form:

        def begun(path: str, body: dict[str, object]) -> str:
            answer = client.post(path, json=body)
            assert answer.status_code == 201, answer.text
            return str(answer.json()["id"])

        items = [ticket(n) for n in range(150)]
        calibration = form.begin(
            "/calibrate", {"workflow": "sort_surely", "texts": texts, "labels": "100", "max_loss": "0.2"}
        )
        tuning = form.begin("/tune", {"workflow": "sort_surely", "texts": texts, "labels": "60", "max_loss": "0.2"})
        compared = {"workflow": "sort_ticket", "items": items[:6], "models": ["openai/cheap", "openai/frontier"]}
        comparison = begun("/v1/comparisons", compared)
        for n in range(4):
            for prompt in ("You name the team of a ticket.", "You write one polite sentence in reply."):
                said = [{"role": "system", "content": prompt}, {"role": "user", "content": f"Ticket {n}: where is it?"}]
                answer = client.post("/v1/chat/completions", json={"model": "firstline/auto", "messages": said})
                assert answer.status_code == 200, answer.text
        jobs = {
            "done": web.submit("triage", 80, name="Tickets of November"),
            "failed": web.submit("never_right", 3),
            "asking": web.submit("tricky", 2, name="Amounts to be paid back"),
            "paused": web.submit("sort_ticket", 40, budget_usd=0.00001),
            "cancelled": web.submit("sort_ticket", 40, profile="leisurely"),
            "running": web.submit(
                "sort_ticket", 400, profile="leisurely", name="Tickets of the whole year, at leisure"
            ),
            "stuck": web.submit("sort_ticket", 3, profile="unserved"),
        }
        assert client.post(f"/v1/jobs/{jobs['cancelled']}/cancel").status_code == 200
        for name in ("done", "failed", "asking"):
            web.wait(jobs[name], timeout_s=120)
        _until(lambda: api.status(jobs["paused"]).state is JobState.PAUSED)
        _until(lambda: "hx-get" not in form.get(f"/calibrate/{calibration}/live"))
        _until(lambda: client.get(f"/v1/comparisons/{comparison}").json()["result"])
        _until(lambda: client.get(f"/v1/experiments/{tuning}").json()["tuning"])
        found = client.get(f"/v1/experiments/{tuning}").json()["tuning"]
        jobs["certified"] = web.submit("sort_surely", 60, name="Tickets, surely")
        web.wait(jobs["certified"], timeout_s=120)
        climbed = client.get(f"/v1/jobs/{jobs['done']}/items", params={"tier": "frontier"}).json()["items"][0]["n"]
        (question, *_) = client.get("/v1/reviews").json()
    _teach(jobs["done"])
    return LivedIn(web, jobs, calibration, comparison, (tuning, found), climbed, (question["job"], question["item_id"]))


def _teach(job: str) -> None:
    """Write a student down as one that answers: a job in which one pays has tens of thousands of items."""
    row = StudentRow(
        job=job,
        step="sort",
        tier="own",
        tenant="default",
        skill="sort_ticket",
        skill_digest="",
        version=1,
        packed=b"",
        labels=400,
        answers=4,
        opening=200,
        margins=[1.0, 0.5],
        wrong=[False, False],
        state="on",
        margin=0.5,
        max_loss=0.05,
        served=0,
        audits=0,
        caught=0,
        trained_at=now(),
    )
    with api.engine().db.writing() as tx:
        students.insert(tx, row=row)


def _until(is_so: Callable[[], object], timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.1)
