"""A budget under hundreds of concurrent calls of several worker processes: what it lets through, by the bill."""

import json
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from firstline.orchestrator import api
from firstline.orchestrator.money import budgets
from firstline.schemas.job import JobRequest, JobState, JobStatus, Options
from firstline.schemas.plan import Step, Workflow
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Profile
from tests.acceptance.processes import Deployment, running
from tests.servers import RedisServer

#: A busy machine takes minutes for what an idle one does in seconds.
pytestmark = [pytest.mark.timeout(600), pytest.mark.soak]

#: Dollars a million tokens, in and out alike.
PRICE = 1000.0
#: Tokens of an answer as the provider bills it, and as it is guessed before any is known.
ANSWER_TOKENS, GUESSED_TOKENS = 1000, 256
AT_ONCE = 150
#: Enough that a message carries several, so that all slots of the workers are in use.
ITEMS = 2400
SCRIPT = f"""
models:
  cheap:
    latency: {{kind: uniform, low: 1.0, high: 2.0}}
    answer: {{kind: fixed, text: "{"word" * ANSWER_TOKENS}"}}
    cache_from_tokens: null
"""


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("budget")
    made = Deployment(
        folder,
        f"sqlite:///{folder / 'firstline.db'}",
        SCRIPT,
        RedisServer(folder / "redis"),
        orchestrators=1,
        workers={"cheap": 2},
    )
    with running(made):
        yield made


def test_hundreds_of_calls_at_once_spend_no_more_than_the_cap_and_what_was_underestimated(deployment):
    cap_usd = 150.0
    job = _submitted(deployment, ITEMS, budget_usd=cap_usd)
    status = _at_rest(job)
    assert status.state is JobState.PAUSED
    assert "the job's budget is used up" in str(status.reason)
    assert f"firstline budget {job} --raise" in str(status.reason)
    peak = _stats(deployment)["in_flight_peak"]
    assert peak > 100
    bill = _bill(deployment)
    # Until a first answer has shown how long answers are, each call may cost more than was reserved for it.
    assert bill <= cap_usd + min(peak, 2 * AT_ONCE) * (ANSWER_TOKENS - GUESSED_TOKENS) * PRICE / 1e6
    assert bill > 0.9 * cap_usd
    assert status.cost_usd == pytest.approx(bill)

    # By now every worker knows: what is raised is kept to the cent.
    raised_usd = round(bill) + 200.0
    assert api.raise_budget(job, raised_usd - cap_usd) == raised_usd
    status = _at_rest(job)
    assert status.state is JobState.PAUSED
    assert 0.97 * raised_usd < _bill(deployment) <= raised_usd
    assert status.cost_usd == pytest.approx(_bill(deployment))

    assert api.cancel(job)


def test_the_jobs_of_a_tenant_share_its_cap_and_go_on_by_themselves_when_it_is_raised(deployment):
    before = _bill(deployment)
    budgets.allow(api.engine(), "ann", total_usd=100.0)
    jobs = [_submitted(deployment, 120, tenant="ann") for _ in range(2)]
    assert {_at_rest(job).state for job in jobs} == {JobState.PAUSED}
    assert "the budget of tenant 'ann' is used up" in str(api.status(jobs[0]).reason)
    assert 90.0 < _bill(deployment) - before <= 100.0
    budgets.allow(api.engine(), "ann", total_usd=1000.0)
    while any(api.status(job).state is JobState.PAUSED for job in jobs):
        time.sleep(0.1)
    assert [(_at_rest(job).state, api.status(job).settled) for job in jobs] == [(JobState.DONE, 120)] * 2


def _submitted(deployment: Deployment, count: int, **options: Any) -> str:
    skill = Skill.model_validate(
        {"name": "say", "instructions": "Say it.", "input": {"text": {}}, "output": {"type": "string"}}
    )
    workflow = Workflow(name="say", steps=(Step(name="s", skill="say"),), skills=(skill,))
    profile = deployment.profile(cheap=AT_ONCE)
    cheap = profile.tiers[0].model_dump(mode="json")
    cheap["models"][0]["price"] = {"input": PRICE, "output": PRICE}
    ladder = Profile.model_validate({"name": "one", "tiers": [cheap]})
    request = JobRequest(workflow=workflow, profile=ladder, options=Options(dedupe=False, **options))
    return api.submit(request, ({"id": str(n), "text": f"item {n} of {options}"} for n in range(count)))


def _at_rest(job: str) -> JobStatus:
    """The job once it has ended or paused and what was under way has come in."""
    for status in api.watch(job):
        last = status
    quiet = None
    while quiet != last:
        quiet, last = last, _later(job)
    return last


def _later(job: str) -> JobStatus:
    time.sleep(1.5)
    return api.status(job)


def _stats(deployment: Deployment) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{deployment.sim_port}/stats") as said:
        return json.load(said)


def _bill(deployment: Deployment) -> float:
    """What the provider would put on the bill."""
    return sum((call["input_tokens"] + call["output_tokens"]) * PRICE / 1e6 for call in deployment.paid())
