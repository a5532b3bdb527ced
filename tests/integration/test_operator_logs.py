"""What an operator greps for: jobs and items by stable names, with ids and counts, never with contents."""

import json
import logging
from contextlib import suppress

import pytest

from firstline.config.telemetry.logs import _JsonLines, _Text
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.engine import lifecycle
from firstline.orchestrator.engine.lifecycle import settle_trail
from firstline.orchestrator.store import jobs
from firstline.schemas.job import JobState
from firstline.schemas.verdict import Reject
from tests.integration.jobs import answered, begun, flying


@pytest.fixture
def told(caplog):
    caplog.set_level(logging.INFO)

    def events(name: str) -> list[dict[str, object]]:
        found = [record for record in caplog.records if record.getMessage() == name]
        return [json.loads(_JsonLines().format(record)) for record in found]

    return events


def test_a_jobs_way_is_logged_by_its_states(engine: Context, told):
    job = begun(engine)
    lifecycle.pause(engine, job, reason="paused by a person")
    lifecycle.resume(engine, job)
    lifecycle.cancel(engine, job, reason="cancelled by a person")
    assert [one["job"] for one in told("job.paused")] == [job]
    assert told("job.paused")[0]["reason"] == "paused by a person"
    assert [one["job"] for one in told("job.running")][-1] == job
    (ended,) = told("job.cancelled")
    assert {"items", "settled", "failed", "escalated", "calls", "cost_usd"} <= ended.keys()


def test_what_is_rolled_back_is_not_logged(engine: Context, told):
    job = begun(engine)
    with suppress(ZeroDivisionError), engine.db.writing() as tx:
        jobs.move(tx, job=job, to=JobState.PAUSED, among=(JobState.RUNNING,), reason="x")
        raise ZeroDivisionError
    assert told("job.paused") == []


def test_a_budget_that_is_reached_is_a_warning_of_its_own(engine: Context, told, caplog):
    job = begun(engine)
    with engine.db.writing() as tx:
        held = {"held_by": f"job.{job}", "held_cap_usd": 1.0}
        jobs.move(tx, job=job, to=JobState.PAUSED, among=(JobState.RUNNING,), reason="the budget is used up", **held)
    (reached,) = told("budget.reached")
    assert (reached["level"], reached["job"], reached["budget"]) == ("WARNING", job, f"job.{job}")
    text = _Text("%(levelname)s %(message)s")
    lines = [text.format(record) for record in caplog.records if record.getMessage() == "budget.reached"]
    assert lines == [f"WARNING budget.reached job={job} budget=job.{job} reason=the budget is used up"]


def test_a_failed_item_is_logged_by_place_and_kind_and_its_job_by_its_sums(engine: Context, told, caplog):
    job = begun(engine, 1)
    secret = "the customer's words: hunter2"
    settle_trail(engine, answered(flying(engine, job)[0], lambda item, todo: Reject(reason=secret)))
    (failed,) = told("item.failed")
    assert {name: failed[name] for name in ("job", "item", "step")} == {"job": job, "item": 0, "step": "s0"}
    (done,) = told("job.done")
    assert (done["items"], done["settled"], done["failed"]) == (1, 0, 1)
    assert not any("hunter2" in _JsonLines().format(record) for record in caplog.records)
