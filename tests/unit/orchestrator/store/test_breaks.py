"""What lies between two runs of a job is no time of its items."""

from datetime import UTC, datetime, timedelta

import pytest

from firstline.orchestrator.store import items, jobs
from firstline.orchestrator.store.database import Database
from firstline.orchestrator.store.migrate import migrate
from firstline.orchestrator.store.tables import JobRow
from firstline.schemas.job import WORKING, JobState

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
AGAIN = (JobState.DONE, JobState.FAILED, JobState.CANCELLED, JobState.PAUSED)


@pytest.fixture
def moved(tmp_path, monkeypatch):
    """A job that is begun at noon; called with a state and minutes after noon, it moves there and returns its row."""
    db = Database(f"sqlite:///{tmp_path / 'firstline.db'}")
    migrate(db)
    row = JobRow(id="j", name="j", workflow="w", state="running", profile={}, options={}, created_at=NOON)
    with db.writing() as tx:
        jobs.insert(tx, row=row)

    def move(to, minutes):
        monkeypatch.setattr(jobs, "now", lambda: NOON + timedelta(minutes=minutes))
        again = to in WORKING
        among = AGAIN if again else (JobState.RUNNING,)
        with db.writing() as tx:
            assert jobs.move(tx, job="j", to=to, among=among, **({"ended_at": None} if again else {}))
            return jobs.get(tx, job="j")

    yield move
    db.close()


def time_of(job, begun, ended):
    """The minutes of an item that began and ended so many minutes after noon."""
    times = {"started_at": NOON + timedelta(minutes=begun), "ended_at": NOON + timedelta(minutes=ended)}
    return items.latency_s({**times, "breaks": job["breaks"]}) / 60


def test_hours_that_a_paused_job_lay_are_left_out(moved):
    moved(JobState.PAUSED, 10)
    job = moved(JobState.RUNNING, 610)
    assert time_of(job, 8, 613) == 5
    assert time_of(job, 0, 9) == 9
    assert time_of(job, 611, 612) == 1


def test_hours_between_an_end_and_a_retry_are_left_out_however_often(moved):
    moved(JobState.DONE, 10)
    moved(JobState.RUNNING, 70)
    moved(JobState.PAUSED, 80)
    job = moved(JobState.RUNNING, 180)
    assert time_of(job, 5, 185) == 5 + 10 + 5


def test_a_break_that_is_not_over_is_no_break_of_what_ended_before_it(moved):
    job = moved(JobState.PAUSED, 10)
    assert time_of(job, 0, 9) == 9
