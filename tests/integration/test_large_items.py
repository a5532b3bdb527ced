"""Large items: a job of them goes by in small shards, one item a message, and few are out at once."""

import pytest

from firstline.orchestrator import api
from firstline.orchestrator.core import sharding
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.engine import receiving
from firstline.orchestrator.engine.lifecycle import start
from firstline.orchestrator.store.tables import BatchRow, ItemRow, JobRow, ShardRow
from firstline.schemas.job import ItemState, JobRequest, JobState, Options
from firstline.schemas.plan import Step
from tests.integration.jobs import PROFILE, cut, flying, rows, work, workflow

COUNT, LENGTH = 100, 1000


@pytest.fixture
def large(engine: Context, monkeypatch: pytest.MonkeyPatch) -> str:
    """A job whose items are large by a measure that is small."""
    monkeypatch.setattr(sharding, "SHARD_BYTES", 10 * LENGTH)
    monkeypatch.setattr(receiving, "_CHUNK_BYTES", 5 * LENGTH)
    steps = [Step(name="a", skill="sort"), Step(name="b", skill="sort", after=("a",))]
    request = JobRequest(workflow=workflow(steps), profile=PROFILE, options=Options(dedupe=False))
    return api.submit(request, ({"id": f"i{n}", "text": f"{n} " + "x" * LENGTH} for n in range(COUNT)))


def test_a_job_of_large_items_has_little_out_at_once_and_is_done(engine: Context, large: str) -> None:
    (job,) = rows(engine, JobRow, id=large)
    shards = rows(engine, ShardRow, job=large)
    assert (job["shard_items"], job["items"]) == (4, COUNT)
    assert sum(shard["open"] for shard in shards) == COUNT
    assert max(shard["hi"] - shard["lo"] for shard in shards) == 4
    start(engine, large)
    cut(engine, large)
    out = flying(engine, large)
    assert {len(batch.work) for batch in out} == {1}
    assert 0 < len(out) <= sharding.most_out(4)
    work(engine, large)
    assert rows(engine, JobRow, id=large)[0]["state"] == JobState.DONE
    assert {item["state"] for item in rows(engine, ItemRow, job=large)} == {ItemState.SETTLED}
    assert {batch["size"] for batch in rows(engine, BatchRow, job=large)} == {1}


def test_its_results_are_read_in_pages_that_are_small_and_none_is_left_out(
    engine: Context, large: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    stream = api.views.stream

    def noted(*given: object, limit: int, **named: object) -> object:
        asked.append(limit)
        return stream(*given, limit=limit, **named)

    monkeypatch.setattr(api.views, "stream", noted)
    found = [result.item_id for result in api.results(large)]
    assert found == [f"i{n}" for n in range(COUNT)]
    assert max(asked) == sharding.most_out(4)
