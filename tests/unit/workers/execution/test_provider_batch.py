"""Tiers of kind `batch`: when a job takes one, and what travels to a provider's Batch API."""

from datetime import UTC, datetime, timedelta

import pytest

from firstline.schemas.attempt import ErrorKind
from firstline.schemas.job import Options
from firstline.schemas.provider_batch import (
    ProviderBatchAct,
    ProviderBatchNews,
    ProviderBatchOrder,
    ProviderBatchState,
)
from firstline.schemas.tier import Profile, TierKind
from firstline.workers.execution import provider_batch
from firstline.workers.providers.batches.wire import BatchError
from firstline.workers.providers.gateway import Reply
from firstline.workers.rules.lanes import with_tiers
from tests.unit.worker_rig import Rig, simple, tier

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
    assert with_tiers(Options(**given), PROFILE, at=NOW).tiers == tiers
    assert [one.name for one in PROFILE.ladder] == ["cheap", "frontier"]


def test_no_call_is_made_at_once_on_a_batch_tier():
    rig = Rig([])
    bulk = tier("m1").evolve(kind=TierKind.BATCH)
    left = rig.item(simple("text", tier=bulk)).left[0]
    assert (left.verdict.kind, left.verdict.cause) == ("defer", "bulk")


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        (ErrorKind.MALFORMED, ProviderBatchState.COLLECTED),
        (ErrorKind.NOT_FOUND, ProviderBatchState.COLLECTED),
        (ErrorKind.CONNECTION, ProviderBatchState.SUBMITTED),
    ],
)
def test_answers_that_are_too_long_are_not_fetched_again_and_again(kind, state):
    order = ProviderBatchOrder(id="b", act=ProviderBatchAct.COLLECT, job="j", tier=tier(), created_at=NOW)
    news = provider_batch._after(order, BatchError(Reply(error=kind, detail="the answer is longer than 1024 MB")))
    assert (news.state, news.reason) == (state, "the answer is longer than 1024 MB")


def test_what_a_provider_says_of_a_batch_can_be_kept():
    order = ProviderBatchOrder(id="b", act=ProviderBatchAct.LOOK, job="j", tier=tier(), created_at=NOW)
    news = provider_batch._after(order, BatchError(Reply(error=ErrorKind.SERVER, detail="a\ud800b\0c")))
    assert ProviderBatchNews.model_validate_json(news.model_dump_json()).reason == "a\ufffdb\ufffdc"
