"""Every fault of the simulated provider at once, on a fifth of the calls: nothing is lost, the money is exact."""

import json
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select

from firstline.orchestrator import api
from firstline.orchestrator.store.tables import AttemptRow
from firstline.schemas.job import ItemState, JobRequest, JobState, JobStatus, Options
from firstline.schemas.plan import Step, Workflow
from firstline.schemas.report import Report
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Profile
from firstline.workers.simulator.script import FaultKind
from tests.acceptance.processes import Deployment, running
from tests.servers import RedisServer

#: A busy machine takes minutes for what an idle one does in seconds.
pytestmark = [pytest.mark.timeout(600), pytest.mark.soak]

#: So many that each kind of fault strikes: fewer than one run in a thousand would miss one.
ITEMS = 600
SHARE = 0.2
PRICES = {"cheap-a": (0.1, 0.4), "cheap-b": (0.2, 0.8), "big-a": (5.0, 20.0), "big-b": (6.0, 24.0)}
#: What a report calls what the simulator plays; a mended or a wrong `usage` leaves a good answer.
NAMED = {
    FaultKind.RATE_LIMIT: "rate",
    FaultKind.QUOTA: "quota",
    FaultKind.AUTH: "auth",
    FaultKind.NOT_FOUND: "not_found",
    FaultKind.CONTEXT_LENGTH: "context_length",
    FaultKind.SERVER_ERROR: "server",
    FaultKind.OVERLOADED: "server",
    FaultKind.CONTENT_FILTER: "content_filter",
    FaultKind.FILTERED: "content_filter",
    FaultKind.HANG: "timeout",
    FaultKind.DROP: "connection",
    FaultKind.TRUNCATION: "truncated",
    FaultKind.REFUSAL: "refused",
    FaultKind.EMPTY: "empty",
    FaultKind.MALFORMED: "malformed",
}
#: Kinds that strike an item, whatever it is asked of: an item that both tiers filter fails, and rightly.
_OF_THE_ITEM = (FaultKind.CONTENT_FILTER, FaultKind.FILTERED)
_UNBILLABLE = (FaultKind.NO_USAGE, FaultKind.ZERO_USAGE)


def _script() -> str:
    cheap, big = list(FaultKind), [kind for kind in FaultKind if kind not in _OF_THE_ITEM]
    rules = {model: _rule(big if model.startswith("big") else cheap) for model in PRICES}
    return json.dumps({"seed": 5, "models": rules})


def _rule(kinds: list[FaultKind]) -> dict[str, Any]:
    # Each is tried in turn, so that each strikes the same share of the calls.
    faults, left = [], 1.0
    for kind in kinds:
        chance = SHARE / len(kinds) / left
        faults.append({"kind": kind.value, "probability": round(chance, 5), "retry_after_s": 0.2})
        left -= SHARE / len(kinds)
    return {"latency": 0.05, "answer": "from_schema", "faults": faults, "cache_from_tokens": None}


@dataclass(frozen=True)
class Ran:
    """What a run through all faults left behind."""

    deployment: Deployment
    job: str
    status: JobStatus
    report: Report
    attempts: list[Any]
    stats: dict[str, Any]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("faults")
    url = f"sqlite:///{folder / 'firstline.db'}"
    with running(Deployment(folder, url, _script(), RedisServer(folder / "redis"), orchestrators=1)) as deployment:
        job = api.submit(_request(deployment), ({"id": str(n), "text": f"item {n}"} for n in range(ITEMS)))
        status = _ended(job)
        with api.engine().db.reading() as tx:
            attempts = list(tx.execute(select(AttemptRow.__table__).where(AttemptRow.job == job)).mappings())  # type: ignore[attr-defined]
        yield Ran(deployment, job, status, api.report(job), attempts, _stats(deployment))


def _request(deployment: Deployment) -> JobRequest:
    base = f"http://127.0.0.1:{deployment.sim_port}/v1"

    def tier(name: str, *models: str) -> dict[str, Any]:
        listed = [
            {
                "name": f"openai/{model}",
                "api_base": base,
                "price": {"input": PRICES[model][0], "output": PRICES[model][1]},
            }
            for model in models
        ]
        return {"name": name, "models": listed, "timeout_s": 8, "cooldown_s": 0.3}

    ladder = [tier("cheap", "cheap-a", "cheap-b"), tier("frontier", "big-a", "big-b")]
    skill = Skill.model_validate(
        {
            "name": "sort",
            "instructions": "Sort it.",
            "input": {"text": {}},
            "output": {
                "type": "object",
                "properties": {"label": {"enum": ["a", "b"]}, "why": {"type": "string"}},
                "required": ["label", "why"],
                "additionalProperties": False,
            },
        }
    )
    workflow = Workflow(name="sort", steps=(Step(name="s", skill="sort"),), skills=(skill,))
    profile = Profile.model_validate({"name": "faulty", "tiers": ladder})
    return JobRequest(workflow=workflow, profile=profile, options=Options(dedupe=False, budget_usd=50))


def _ended(job: str) -> JobStatus:
    gives_up_at = time.monotonic() + 400
    for _ in api.watch(job, beat_s=1):
        if time.monotonic() > gives_up_at:
            break
    return api.status(job)


def _stats(deployment: Deployment) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{deployment.sim_port}/stats") as said:
        return dict(json.load(said))


def test_every_item_is_settled(ran):
    assert (ran.status.state, ran.status.settled, ran.status.failed) == (JobState.DONE, ITEMS, 0)
    assert {result.status for result in api.results(ran.job)} == {ItemState.SETTLED}


def test_every_fault_struck_a_share_of_the_calls(ran):
    struck = Counter[str]()
    for model in ran.stats["models"].values():
        struck.update(model["faults"])
    assert set(struck) >= {kind.value for kind in FaultKind}
    assert 0.12 < sum(struck.values()) / ran.stats["calls"] < 0.3


def test_the_attempts_add_up_to_the_providers_own_bill(ran):
    # What nobody was told the tokens of, or what came after the caller had given up, is unknown to whoever asked.
    unknown = [call for call in ran.deployment.paid() if call["fault"] in _UNBILLABLE or not call["delivered"]]
    billed = [call for call in ran.deployment.paid() if call not in unknown]
    recorded = sum(row["cost_usd"] or 0.0 for row in ran.attempts)
    assert sum(_cost(call) for call in billed) == pytest.approx(recorded, rel=1e-9)
    assert ran.report.cost_usd == pytest.approx(recorded, rel=1e-9)
    # Whoever does not say what was used is not charged by guess: it is reported as unknown.
    assert ran.report.unpriced_attempts >= len(unknown) > 0
    assert sum(row["input_tokens"] or 0 for row in ran.attempts) == sum(call["input_tokens"] for call in billed)


def test_the_report_names_the_faults_of_each_model(ran):
    lines = {line.model.removeprefix("openai/"): line for line in ran.report.models}
    for model, played in ran.stats["models"].items():
        expected = {name for kind, name in NAMED.items() if played["faults"].get(kind.value)}
        assert expected <= set(lines[model].errors), model
    assert all(0 < line.error_rate < 0.5 for line in lines.values() if line.attempts > 50)


def _cost(call: dict[str, Any]) -> float:
    price = PRICES[call["model"]]
    return float(call["input_tokens"] * price[0] + call["output_tokens"] * price[1]) / 1e6
