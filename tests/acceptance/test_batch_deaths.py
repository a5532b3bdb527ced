"""A job of each wire format in a provider's Batch API, whose worker is killed at every state of the batch's life."""

import asyncio
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum

import httpx
import psutil
import pytest
import redis
from sqlalchemy import select, update
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from firstline.config.settings import get_settings
from firstline.orchestrator import api
from firstline.orchestrator.store.tables import AttemptRow, ProviderBatchRow
from firstline.schemas.job import JobRequest, JobState, Options
from firstline.schemas.plan import Step, Workflow
from firstline.schemas.tier import Profile
from firstline.workers.simulator import batches, other_batches
from firstline.workers.simulator.running import serving
from firstline.workers.simulator.script import Script
from firstline.workers.simulator.server import build_app
from tests.acceptance.processes import Deployment, running
from tests.servers import RedisServer
from tests.unit.worker_rig import skill

#: A busy machine takes minutes for what an idle one does in seconds.
pytestmark = [pytest.mark.timeout(600), pytest.mark.soak]

ITEMS = 6
#: So that a body of all of them comes in pieces.
LONG = 5_000 * " long"
TURNAROUND_S = 10_000.0
SCRIPT = Script.model_validate({"seed": 1, "models": {"*": {}}, "batches": {"turnaround_s": TURNAROUND_S}})
PRICE = {"input": 1.0, "output": 2.0}
_bulk = ProviderBatchRow.__table__  # type: ignore[attr-defined]
_attempt = AttemptRow.__table__  # type: ignore[attr-defined]


class When(Enum):
    """How far a request gets before its sender is killed."""

    ARRIVED = "nothing of it was done"
    HALF_ASKED = "half of its body had come"
    DONE = "it was done, and its answer never came back"
    HALF_ANSWERED = "half of its answer had come back"
    ANSWERED = "its answer had come back"


@dataclass(frozen=True)
class Death:
    """A point of a batch's life at which its worker is killed."""

    name: str
    when: When
    method: str
    path: str
    #: Only once the provider is through with it.
    ended: bool = False
    #: Only while the batch stands so with us.
    state: str | None = None


def deaths(create: str, look: str, results: str, upload: str | None = None) -> list[Death]:
    """Return the points of one format's life, in order."""
    first = upload or create
    begun = [
        Death("the order is written", When.ARRIVED, "POST", first),
        Death("the upload has begun", When.HALF_ASKED, "POST", first),
    ]
    uploaded = [
        Death("the file is there", When.DONE, "POST", first),
        Death("the batch is about to be made", When.ARRIVED, "POST", create),
    ]
    return [
        *begun,
        *(uploaded if upload else ()),
        Death("it is made", When.DONE, "POST", create),
        Death("it is in progress", When.DONE, "GET", look),
        Death("it has ended", When.DONE, "GET", look, ended=True),
        Death("its results are partly read", When.HALF_ANSWERED, "GET", results, ended=True, state="ended"),
        Death("its results are read", When.ANSWERED, "GET", results, ended=True, state="ended"),
    ]


@dataclass(frozen=True)
class Format:
    """A provider: its model, where its batches are, and the points at which a worker dies."""

    model: str
    base: str
    listing: str
    listed: str
    deaths: list[Death]


FORMATS = {
    "openai": Format(
        "openai/gpt-4o-mini",
        "/v1",
        "/v1/batches",
        "data",
        deaths("/v1/batches", "/v1/batches/[^/]+", "/v1/files/[^/]+/content", upload="/v1/files"),
    ),
    "anthropic": Format(
        "anthropic/claude-haiku-4-5",
        "",
        "/v1/messages/batches",
        "data",
        deaths("/v1/messages/batches", "/v1/messages/batches/[^/]+", "/v1/messages/batches/[^/]+/results"),
    ),
    "gemini": Format(
        "gemini/gemini-2.5-flash",
        "",
        "/v1beta/batches",
        "operations",
        # Its results come with the look.
        deaths("/v1beta/models/.*:batchGenerateContent", "/v1beta/batches/[^/]+", "/v1beta/batches/[^/]+"),
    ),
}


def format_of(path: str) -> str:
    if path.startswith("/v1beta"):
        return "gemini"
    return "anthropic" if path.startswith("/v1/messages") else "openai"


@dataclass
class Deadly:
    """The providers; before, amid or after some requests they have the worker killed that sends them."""

    app: ASGIApp
    kill: Callable[[str], None]
    state_of: Callable[[str], str | None]
    left: dict[str, list[Death]] = field(default_factory=lambda: {name: [*one.deaths] for name, one in FORMATS.items()})
    died: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in FORMATS})

    @property
    def is_over(self) -> bool:
        """Whether every batch was seen on its way, so that its time may pass."""
        return all("it is in progress" in names for names in self.died.values())

    def time(self) -> float:
        """What the providers' clock says."""
        return time.time() + (TURNAROUND_S if self.is_over else 0.0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = format_of(scope["path"])
        death = self._due(name, scope)
        if death is None:
            await self.app(scope, receive, send)
            return
        await self._play(death.when, scope, receive, send)
        await asyncio.to_thread(self.kill, name)
        self.died[name].append(death.name)

    def _due(self, name: str, scope: Scope) -> Death | None:
        for death in self.left[name][:1]:
            is_asked = scope["method"] == death.method and re.fullmatch(death.path, scope["path"])
            if is_asked and self.is_over >= death.ended and death.state in (None, self.state_of(name)):
                return self.left[name].pop(0)
        return None

    async def _play(self, when: When, scope: Scope, receive: Receive, send: Send) -> None:
        match when:
            case When.ARRIVED:
                return
            case When.HALF_ASKED:
                assert (await receive()).get("more_body")
            case When.ANSWERED:
                await self.app(scope, receive, send)
            case When.DONE | When.HALF_ANSWERED:
                said: list[Message] = []

                async def keep(message: Message) -> None:
                    said.append(message)

                await self.app(scope, receive, keep)
                if when is When.HALF_ANSWERED:
                    body = b"".join(message.get("body", b"") for message in said)
                    await send(said[0])
                    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})


@dataclass(frozen=True)
class Ran:
    """What the three jobs left behind."""

    deployment: Deployment
    providers: Deadly
    url: str
    jobs: dict[str, str]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("deaths")
    made = Deployment(
        folder,
        f"sqlite:///{folder / 'firstline.db'}",
        "",
        RedisServer(folder / "redis"),
        orchestrators=1,
        workers=dict.fromkeys(FORMATS, 1),
        env={"FIRSTLINE_DEAD_AFTER_S": "3", "FIRSTLINE_HEARTBEAT_S": "0.5"},
    )
    with running(made) as deployment, pytest.MonkeyPatch.context() as patch:
        jobs: dict[str, str] = {}
        providers = Deadly(
            build_app(SCRIPT), lambda name: kill(deployment, jobs[name], name), lambda name: standing(jobs[name])
        )
        for module in (batches, other_batches):
            patch.setattr(module, "time", providers)
        with serving(providers) as url:
            for name in FORMATS:
                jobs[name] = api.submit(request(name, url), ({"text": f"{n}{LONG}"} for n in range(ITEMS)))
            gives_up_at = time.monotonic() + 500
            while time.monotonic() < gives_up_at and not all(api.status(job).state.ended for job in jobs.values()):
                time.sleep(0.3)
            yield Ran(deployment, providers, url, jobs)


def kill(deployment: Deployment, job: str, name: str) -> None:
    """SIGKILL a worker; the time that its lease and its order would be waited for is told, not waited."""
    process = deployment.children[f"worker-{name}-0"].process
    assert process is not None
    pid = process.pid
    os.kill(pid, signal.SIGKILL)
    # Where its parent was quicker, there is nobody left to ask.
    with suppress(psutil.NoSuchProcess):
        while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
    with redis.Redis(port=deployment.redis.port) as client, api.engine().db.writing() as tx:
        for row in tx.execute(select(_bulk).where(_bulk.c.job == job)).mappings():
            client.delete(get_settings().keys.lease(row["id"]))
        tx.execute(update(_bulk).where(_bulk.c.job == job).values(due_at=datetime.now(UTC) - timedelta(seconds=1)))


def standing(job: str) -> str | None:
    """Return how a job's only provider batch stands with us."""
    with api.engine().db.reading() as tx:
        found: str | None = tx.scalar(select(_bulk.c.state).where(_bulk.c.job == job))
    return found


def request(name: str, url: str) -> JobRequest:
    """Return a job that has time for the Batch API; nobody is to be asked at once."""
    form, one = FORMATS[name], skill()
    models = [{"name": form.model, "api_base": f"{url}{form.base}", "price": PRICE}]
    bulk = {"requests": ITEMS, "fill_s": 1, "poll_s": 0.5, "window_s": 60}
    tiers = [
        {"name": "overnight", "queue": name, "kind": "batch", "bulk": bulk, "models": models},
        {"name": "live", "queue": name, "models": models},
    ]
    return JobRequest(
        workflow=Workflow(name="sort", steps=(Step(name="s", skill=one.name),), skills=(one,)),
        profile=Profile.model_validate({"name": "n", "tiers": tiers}),
        options=Options(dedupe=False, budget_usd=5, deadline=datetime.now(UTC) + timedelta(hours=3)),
    )


@pytest.mark.parametrize("name", FORMATS)
def test_every_item_is_settled_by_one_batch_however_often_its_worker_is_killed(ran: Ran, name: str) -> None:
    # Two requests may be on their way at once, and whose sender dies first is nobody's matter.
    assert sorted(ran.providers.died[name]) == sorted(death.name for death in FORMATS[name].deaths)
    status = api.status(ran.jobs[name])
    assert (status.state, status.settled) == (JobState.DONE, ITEMS), status
    assert len(httpx.get(f"{ran.url}{FORMATS[name].listing}").json()[FORMATS[name].listed]) == 1


@pytest.mark.parametrize("name", FORMATS)
def test_the_providers_ledger_the_attempts_and_the_budget_are_one_to_the_cent(ran: Ran, name: str) -> None:
    paid = [call for call in httpx.get(f"{ran.url}/log").json() if f"{name}/{call['model']}" == FORMATS[name].model]
    bill = sum(call["input_tokens"] * PRICE["input"] + call["output_tokens"] * PRICE["output"] for call in paid) / 1e6
    with api.engine().db.reading() as tx:
        attempts = list(tx.execute(select(_attempt).where(_attempt.c.job == ran.jobs[name])).mappings())
    assert len({call["key"] for call in paid}) == len(paid) == len(attempts) == ITEMS
    assert [row["verdict"] for row in attempts] == ["accept"] * ITEMS
    assert sum(row["cost_usd"] for row in attempts) == pytest.approx(bill, rel=1e-9)
    assert api.status(ran.jobs[name]).cost_usd == pytest.approx(bill, rel=1e-9)
    with redis.Redis(port=ran.deployment.redis.port) as client:
        spent = int(client.hget(get_settings().keys.budget(f"job.{ran.jobs[name]}"), "spent")) / 1e9  # type: ignore[arg-type]
    assert spent == pytest.approx(bill, abs=1e-8)
