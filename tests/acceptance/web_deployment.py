"""A deployment with `firstline serve` in front of it, and jobs with something to see."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from firstline.config.catalogue.yaml_text import as_yaml
from firstline.orchestrator import api
from firstline.orchestrator.core import tokens
from firstline.schemas.access import Role
from firstline.schemas.job import JobState
from tests.acceptance.processes import Deployment, Process, running, started
from tests.servers import RedisServer, free_port

SCRIPT = """
seed: 7
truth: labels.jsonl
models:
  small: {answer: {kind: truth, accuracy: 0.85}, confidence: {right: 0.95, wrong: 0.5}}
  large: {answer: {kind: truth, accuracy: 1.0}}
  slow-cheap: {answer: from_schema, latency: 5}
  slow-frontier: {answer: from_schema, latency: 5}
  cheap:
    latency: {kind: uniform, low: 0.05, high: 0.25}
    answer: {kind: from_schema}
    faults: [{kind: off_schema, probability: 0.12}]
  frontier:
    latency: {kind: uniform, low: 0.3, high: 0.6}
    answer: {kind: from_schema}
"""
SORT = """
name: sort_ticket
description: Says what a ticket is about, and how urgent it is.
instructions: You sort support tickets of an online shop. Name the topic and the urgency.
input: {text: {description: "The ticket, as it came in."}}
output:
  type: object
  properties:
    topic: {enum: [delivery, payment, returns, account]}
    urgent: {type: boolean}
  required: [topic, urgent]
  additionalProperties: false
policy: {attempts_per_tier: 1}
"""
REPLY = """
name: draft_reply
description: Drafts a reply to a ticket.
instructions: Draft a short, friendly reply.
input: {text: {}, topic: {}}
output:
  type: object
  properties: {reply: {type: string, maxLength: 200}}
  required: [reply]
  additionalProperties: false
policy: {attempts_per_tier: 1}
"""
TRICKY = """
name: tricky
description: Passes no check, so that a person has to answer.
instructions: Say how much is to be paid back.
input: {text: {}}
output:
  type: object
  properties: {amount: {type: number, description: "Dollars."}, reason: {enum: [late, broken, other]}}
  required: [amount, reason]
  additionalProperties: false
checks: [{kind: expression, expression: "answer.amount == 42", hint: "The amount is 42."}]
policy: {attempts_per_tier: 1, last_resort: review}
"""
#: Its answers say how sure they are, so that something can be certified of them.
SURE = """
name: label_ticket
description: Says in a word what a ticket is about.
instructions: Say what the ticket is about.
input: {text: {}}
output:
  type: object
  properties: {label: {type: string, enum: [billing, card, login, other]}}
  required: [label]
  additionalProperties: false
confidence: [{kind: mean_logprob}]
policy: {attempts_per_tier: 1, max_loss: 0.1}
"""
WORKFLOW = """
name: triage
description: Sorts tickets, and drafts a reply to what is urgent.
steps:
  - {name: sort, skill: sort_ticket, kind: route}
  - name: reply
    skill: draft_reply
    after: [sort]
    inputs: {text: item.text, topic: sort.topic}
    when: sort.urgent
  - {name: check_topic, skill: sort_ticket, after: [sort]}
"""


@dataclass
class WebDeployment:
    """Workers, orchestrators, and the web process's address."""

    url: str
    token: str
    folder: Path
    deployment: Deployment

    def client(self, token: str | None = None) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"authorization": f"Bearer {token or self.token}"}, timeout=60)

    def submit(self, workflow: str, items: int | list[dict[str, str]], **options: object) -> str:
        rows = [ticket(n) for n in range(items)] if isinstance(items, int) else items
        body = {"workflow": workflow, "items": rows, **options}
        with self.client() as client:
            answer = client.post("/v1/jobs", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["job"])

    def wait(self, job: str, *, timeout_s: float = 60) -> JobState:
        """Wait until the job has ended or waits only for people."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            status = api.status(job)
            if status.state.ended or (status.review and status.review + status.ended_items == status.items):
                return status.state
            time.sleep(0.1)
        raise TimeoutError(f"job {job} did not end: {status}")


def ticket(n: int) -> dict[str, str]:
    return {"id": f"T-{1000 + n}", "text": f"Ticket {n}: my parcel of order {37 * n} has not come; what can I do?"}


#: Tickets of which the provider knows what they are about.
LABELLED = 400
_LABELS = ("billing", "card", "login", "other")


def labelled(n: int) -> dict[str, str]:
    """A ticket of which the provider knows what it is about."""
    return {"id": f"L-{n:04d}", "text": f"Ticket number {n:04d}x: it is broken.", "gold": _LABELS[n * 7919 % 13 % 4]}


@contextmanager
def web_deployment(
    folder: Path, *, workers: tuple[str, ...] = ("cheap,frontier",), script: str = SCRIPT, **env: str
) -> Iterator[WebDeployment]:
    """Run everything for the length of the block, with a token; `env` is what every process is given besides.

    One worker process for both tiers, or one for each of `workers` (queues between commas).
    """
    home = folder / "home"
    env = {"FIRSTLINE_HOME": str(home), "FIRSTLINE_PROFILE": "simulated", **env}
    made = Deployment(
        folder,
        f"sqlite:///{folder / 'firstline.db'}",
        script,
        RedisServer(folder / "redis"),
        orchestrators=1,
        workers=dict.fromkeys(workers, 1),
        env=env,
    )
    _write_catalogue(home, made)
    with running(made):
        token, _ = tokens.create(api.engine().db, name="Ada", role=Role.ADMIN, tenant="default")
        with served(folder, made) as url:
            yield WebDeployment(url, token, folder, made)
        api.engine().db.close()


def _write_catalogue(home: Path, deployment: Deployment) -> None:
    files = {
        "skills/sort_ticket": SORT,
        "skills/draft_reply": REPLY,
        "skills/tricky": TRICKY,
        "skills/label_ticket": SURE,
        "workflows/triage": WORKFLOW,
        "tiers/simulated": as_yaml(deployment.profile()),
        "tiers/sure": as_yaml(deployment.profile(models=("small", "large")).evolve(name="sure")),
    }
    for name, text in files.items():
        file = home / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    known = ((one["text"].partition(":")[0], one["gold"]) for one in map(labelled, range(LABELLED)))
    truth = (json.dumps({"contains": mark, "text": json.dumps({"label": label})}) for mark, label in known)
    (deployment.folder / "labels.jsonl").write_text("\n".join(truth))


@contextmanager
def served(folder: Path, deployment: Deployment) -> Iterator[str]:
    """Run `firstline serve` for the length of the block; yield its address."""
    port = free_port()
    argv = ("firstline.orchestrator.cli", "serve", "--port", str(port))
    root = Path(__file__).resolve().parents[2]
    env = {**os.environ, **deployment.settings, "PYTHONPATH": os.pathsep.join((str(root / "src"), str(root)))}
    process = started(argv, env, folder, folder / "web.log")
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_up(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_until_up(url: str, process: Process) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/health").status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise TimeoutError("the web process did not come up; see web.log")
