"""Tiers of kind `batch`: when a job takes one, and what travels to a provider's Batch API."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from firstline.orchestrator.plans.tier_choice import with_tiers
from firstline.schemas.attempt import ErrorKind
from firstline.schemas.job import Options
from firstline.schemas.tier import Model, Price, Profile, TierKind
from firstline.workers.providers.batch_api import BulkApi, Progress
from firstline.workers.providers.gateway import Call, Reply
from tests.unit.worker_rig import LABEL, A, Rig, simple, tier

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MODEL = {"name": "openai/small"}
PROFILE = Profile.model_validate(
    {
        "name": "p",
        "tiers": [
            {"name": "overnight", "kind": "batch", "models": [MODEL], "bulk": {"window_s": 3600}},
            {"name": "cheap", "models": [MODEL]},
            {"name": "frontier", "models": [MODEL]},
        ],
    }
)


@pytest.mark.parametrize(
    ("given", "tiers"),
    [
        pytest.param({}, (), id="nobody said it can wait"),
        pytest.param({"deadline": NOW + timedelta(hours=2)}, ("overnight", "cheap", "frontier"), id="time enough"),
        pytest.param({"deadline": NOW + timedelta(minutes=30)}, (), id="too little time"),
        pytest.param({"deadline": NOW + timedelta(hours=2), "tiers": ("cheap",)}, ("cheap",), id="tiers are named"),
    ],
)
def test_a_job_takes_a_batch_tier_by_itself_when_its_deadline_leaves_time(given, tiers):
    assert with_tiers(Options(**given), PROFILE, now=NOW).tiers == tiers
    assert [one.name for one in PROFILE.ladder] == ["cheap", "frontier"]


def test_no_call_is_made_at_once_on_a_batch_tier():
    rig = Rig([])
    bulk = tier("m1").evolve(kind=TierKind.BATCH)
    left = rig.item(simple("text", tier=bulk)).left[0]
    assert (left.verdict.kind, left.verdict.cause) == ("defer", "bulk")


class Provider:
    """litellm's file and batch functions, as a provider in OpenAI's shape would answer them."""

    def __init__(self, lines: list[dict[str, Any]] | None = None) -> None:
        self.lines = lines or []
        self.seen: dict[str, Any] = {}

    async def acreate_file(self, *, file: Any, **given: Any) -> Any:
        self.seen |= {"content": file[1].read().decode(), **given}
        return SimpleNamespace(id="file-1")

    async def acreate_batch(self, **given: Any) -> Any:
        self.seen |= given
        return SimpleNamespace(id="batch_1")

    async def alist_batches(self, **_: Any) -> Any:
        return SimpleNamespace(
            data=[
                SimpleNamespace(id="other", metadata=None),
                SimpleNamespace(id="ours", metadata={"firstline_bulk": "b"}),
            ]
        )

    async def afile_content(self, **_: Any) -> Any:
        return SimpleNamespace(content="\n".join(map(json.dumps, self.lines)).encode())


def bulk_api(provider: Provider, model_response: Any = None) -> BulkApi:
    provider.ModelResponse = model_response  # type: ignore[attr-defined]
    return BulkApi(provider, lambda model: "key", lambda error, model: Reply(detail=str(error)))


def test_a_bulk_is_a_file_of_requests_that_carries_our_mark():
    provider, call = Provider(), Call(Model(**MODEL), ({"role": "user", "content": "hi"},), LABEL, params={"seed": 1})
    made = asyncio.run(bulk_api(provider).submit(call.model, {"q1": call}, mark="b"))
    assert made == "batch_1"
    line = json.loads(provider.seen["content"])
    assert (line["custom_id"], line["url"]) == ("q1", "/v1/chat/completions")
    assert (line["body"]["model"], line["body"]["seed"]) == ("small", 1)
    assert line["body"]["response_format"]["json_schema"]["schema"] == LABEL
    assert provider.seen["metadata"] == {"firstline_bulk": "b"}
    assert asyncio.run(bulk_api(provider).find(call.model, mark="b")) == "ours"
    assert asyncio.run(bulk_api(provider).find(call.model, mark="another")) is None


def test_refusals_come_back_as_replies_and_what_expired_does_not():
    filtered = {"error": {"message": "Your request was rejected as a result of our safety system."}}
    provider = Provider(
        [
            {"custom_id": "bad", "response": {"status_code": 400, "body": filtered}, "error": None},
            {"custom_id": "late", "response": None, "error": {"code": "batch_expired"}},
            {"custom_id": "not ours", "response": {"status_code": 500, "body": {}}, "error": None},
        ]
    )
    call = Call(Model(**MODEL), ())
    progress = Progress("expired", ("file-2",))
    replies = asyncio.run(bulk_api(provider).answers(call.model, progress, {"bad": call, "late": call}))
    assert {name: reply.error for name, reply in replies.items()} == {"bad": ErrorKind.CONTENT_FILTER}


def test_an_answer_costs_what_the_tier_says_and_holds_its_value():
    text = json.dumps(A)
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    body = {"choices": [choice], "usage": {"prompt_tokens": 100, "completion_tokens": 10}}
    lines = [{"custom_id": "q1", "response": {"status_code": 200, "body": body}, "error": None}]
    call = Call(Model(**MODEL, price=Price(input=1, output=2)), (), LABEL)
    api = bulk_api(Provider(lines))
    reply = asyncio.run(api.answers(call.model, Progress("completed", ("f",)), {"q1": call}))["q1"]
    assert (reply.value, reply.error, reply.cost_usd) == (A, None, pytest.approx(120 / 1e6))
