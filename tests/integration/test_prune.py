"""Retention on both databases: old jobs go whole, others stay."""

from datetime import UTC, datetime, timedelta

import pytest

from firstline.orchestrator.core.context import Context
from firstline.orchestrator.service.prune import ENDS, prune, read_age, read_states
from firstline.orchestrator.store.tables import AttemptRow, BatchRow, ItemRow, JobRow, ShardRow, SubtaskRow
from firstline.schemas.errors import UserError
from firstline.schemas.job import JobState
from tests.integration.jobs import begun, change, rows, work


def ended(engine: Context, days: int, state: str = "done") -> str:
    job = begun(engine, 2)
    work(engine, job)
    change(engine, JobRow, {"ended_at": datetime.now(UTC) - timedelta(days=days), "state": state}, id=job)
    return job


def test_jobs_go_whole_by_age_and_state_and_others_stay(engine: Context) -> None:
    old, young, failed, running = ended(engine, 40), ended(engine, 10), ended(engine, 40, "failed"), begun(engine, 1)
    month = timedelta(days=30)
    assert prune(engine, age=month, states=[JobState.DONE], dry_run=True) == [old]
    assert prune(engine, age=month, states=[JobState.DONE]) == [old]
    for table in (AttemptRow, BatchRow, ItemRow, ShardRow, SubtaskRow):
        assert rows(engine, table, job=old) == []
    assert {row["id"] for row in rows(engine, JobRow)} == {young, failed, running}
    assert prune(engine, age=timedelta(0), states=ENDS) == [failed, young]
    assert {row["id"] for row in rows(engine, JobRow)} == {running}
    assert len(rows(engine, ItemRow)) == 1


@pytest.mark.parametrize(("text", "hours"), [("90m", 1.5), ("12h", 12), ("30d", 720), ("2w", 336)])
def test_ages_are_read(text: str, hours: float) -> None:
    assert read_age(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "30", "d", "-3d", "3 years"])
def test_an_age_that_is_none_is_a_sentence(text: str) -> None:
    with pytest.raises(UserError, match="expected an age such as 30d"):
        read_age(text)


def test_only_jobs_that_have_ended_can_be_named() -> None:
    assert read_states([]) == ENDS
    with pytest.raises(UserError, match="got 'running'"):
        read_states(["running"])
