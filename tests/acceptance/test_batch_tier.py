"""A job that can wait, through the provider's Batch API: half the price, part of it expires, its worker is killed."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from firstline.orchestrator import api
from firstline.orchestrator.store.tables import AttemptRow, ProviderBatchRow
from firstline.schemas.job import JobRequest, JobState, JobStatus, Options
from firstline.schemas.plan import Step, Workflow
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Profile
from tests.acceptance.processes import Deployment, running
from tests.servers import RedisServer

#: A busy machine takes minutes for what an idle one does in seconds.
pytestmark = [pytest.mark.timeout(600), pytest.mark.soak]

ITEMS = 120
BULK = {"input": 0.05, "output": 0.2}
LIVE = {"cheap": {"input": 0.1, "output": 0.4}, "frontier": {"input": 5.0, "output": 20.0}}
SCRIPT = """
seed: 3
models:
  cheap: {latency: 0.1, answer: from_schema, cache_from_tokens: null, faults: [{kind: truncation, probability: 0.3}]}
  frontier: {latency: 0.1, answer: from_schema, cache_from_tokens: null}
batches: {turnaround_s: 3, expired: 0.2, expire_first: 1}
"""


@dataclass(frozen=True)
class Ran:
    """What a run in bulk left behind."""

    deployment: Deployment
    job: str
    status: JobStatus
    bulks: list[Any]
    attempts: list[Any]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("bulk")
    made = Deployment(
        folder,
        f"sqlite:///{folder / 'firstline.db'}",
        SCRIPT,
        RedisServer(folder / "redis"),
        orchestrators=1,
        workers={"overnight": 1, "frontier": 1},
        env={"FIRSTLINE_DEAD_AFTER_S": "3", "FIRSTLINE_HEARTBEAT_S": "0.5"},
    )
    with running(made) as deployment:
        job = api.submit(_request(deployment), ({"id": str(n), "text": f"item {n}"} for n in range(ITEMS)))
        _wait_for(lambda: any(row["provider_id"] for row in _bulks(job)))
        deployment.kill("worker-overnight-0")
        deployment.kill("orchestrator-0")
        status = _ended(job)
        with api.engine().db.reading() as tx:
            attempts = list(tx.execute(select(AttemptRow.__table__).where(AttemptRow.job == job)).mappings())  # type: ignore[attr-defined]
        yield Ran(deployment, job, status, _bulks(job), attempts)


def _request(deployment: Deployment) -> JobRequest:
    base = f"http://127.0.0.1:{deployment.sim_port}/v1"

    def tier(name: str, model: str, price: dict[str, float], **more: Any) -> dict[str, Any]:
        return {"name": name, "models": [{"name": f"openai/{model}", "api_base": base, "price": price}], **more}

    overnight = {"kind": "batch", "bulk": {"requests": 50, "fill_s": 1, "poll_s": 1, "window_s": 60}}
    ladder = [
        tier("overnight", "cheap", BULK, **overnight),
        tier("cheap", "cheap", LIVE["cheap"], queue="frontier"),
        tier("frontier", "frontier", LIVE["frontier"]),
    ]
    skill = Skill.model_validate(
        {
            "name": "sort",
            "instructions": "Sort it.",
            "input": {"text": {}},
            "output": {
                "type": "object",
                "properties": {"label": {"enum": ["a", "b"]}},
                "required": ["label"],
                "additionalProperties": False,
            },
        }
    )
    workflow = Workflow(name="sort", steps=(Step(name="s", skill="sort"),), skills=(skill,))
    options = Options(dedupe=False, budget_usd=5, deadline=datetime.now(UTC) + timedelta(hours=3))
    return JobRequest(
        workflow=workflow, profile=Profile.model_validate({"name": "n", "tiers": ladder}), options=options
    )


def _bulks(job: str) -> list[Any]:
    with api.engine().db.reading() as tx:
        table = ProviderBatchRow.__table__  # type: ignore[attr-defined]
        return list(tx.execute(select(table).where(table.c.job == job).order_by(table.c.created_at)).mappings())


def _wait_for(holds: Any, timeout_s: float = 60) -> None:
    gives_up_at = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < gives_up_at, "it did not come to that in time"
        time.sleep(0.2)


def _ended(job: str) -> JobStatus:
    gives_up_at = time.monotonic() + 400
    for _ in api.watch(job, beat_s=1):
        if time.monotonic() > gives_up_at:
            break
    return api.status(job)


def test_every_item_is_settled_and_most_of_them_in_bulk(ran):
    assert (ran.status.state, ran.status.settled) == (JobState.DONE, ITEMS)
    assert ran.status.by_tier["overnight"] > 0.7 * ITEMS


def test_what_expires_goes_with_the_next_bulk(ran):
    assert all(row["state"] == "collected" for row in ran.bulks)
    expired = sum(row["requests"] - row["answered"] for row in ran.bulks)
    assert 0 < expired < ITEMS
    assert sum(row["answered"] for row in ran.bulks) == sum(row["tier"] == "overnight" for row in ran.attempts)
    assert all(row["requests"] <= 50 for row in ran.bulks)


def test_a_bad_answer_is_tried_again_in_bulk_and_then_climbs(ran):
    verdicts = Counter((row["tier"], row["verdict"]) for row in ran.attempts)
    assert verdicts["overnight", "retry"] > 0
    assert verdicts["overnight", "escalate"] > 0
    assert any(tier == "cheap" for tier, _ in verdicts)


def test_nothing_is_paid_twice_and_the_bill_is_exact(ran):
    paid = ran.deployment.paid()
    in_bulk = [call for call in paid if call["batch"]]
    assert len(paid) == len(ran.attempts)
    assert len(in_bulk) == sum(row["tier"] == "overnight" for row in ran.attempts)
    assert len({call["key"] for call in in_bulk}) == len(in_bulk)
    bill = sum(_cost(call) for call in paid)
    assert bill == pytest.approx(sum(row["cost_usd"] for row in ran.attempts), rel=1e-9)


def _cost(call: dict[str, Any]) -> float:
    price = BULK if call["batch"] else LIVE[call["model"]]
    return float(call["input_tokens"] * price["input"] + call["output_tokens"] * price["output"]) / 1e6
