"""Progress as one line, and the time left."""

import io
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstline.orchestrator.reports.progress import Lines, TimeLeft, line
from firstline.schemas.job import JobState, JobStatus

RUNNING = JobStatus(
    job="j", name="n", state=JobState.RUNNING, items=1000, settled=0, failed=0, created_at=datetime.now(UTC)
)


@pytest.mark.parametrize(
    ("changes", "left_s", "text"),
    [
        pytest.param({}, None, "0/1,000 items · escalated 0 · failed 0 · $0.0000", id="nothing yet"),
        pytest.param(
            {"settled": 400, "failed": 2, "escalated": 40, "by_tier": {"cheap": 360, "frontier": 40}, "cost_usd": 1.5},
            200,
            "402/1,000 items · cheap 360 · frontier 40 · escalated 40 (10%) · failed 2 · $1.5000"
            " · about 3 min 20 s left",
            id="under way",
        ),
        pytest.param(
            {"state": JobState.PAUSED, "settled": 1, "cost_usd": 0.9, "budget_usd": 1.0, "unpriced": 1, "review": 3},
            None,
            "paused · 1/1,000 items · escalated 0 (0%) · failed 0 · in review 3 · $0.9000 of $1.0000"
            " + 1 call without a price",
            id="paused on its budget",
        ),
    ],
)
def test_a_line_says_what_is_done_what_climbed_what_failed_and_what_it_cost(changes, left_s, text):
    assert line(RUNNING.evolve(**changes), left_s) == text


def test_time_left_follows_the_latest_rate_not_the_average():
    left = TimeLeft(window_s=30)
    assert left.update(0, RUNNING) is None
    assert left.update(100, RUNNING.evolve(settled=100)) == pytest.approx(900)
    for at_s, settled in ((110, 200), (120, 300), (130, 400)):
        latest = left.update(at_s, RUNNING.evolve(settled=settled))
    assert latest == pytest.approx(60)


@given(st.lists(st.tuples(st.floats(0.01, 100), st.integers(0, 50)), min_size=1, max_size=20))
def test_time_left_is_never_negative(steps):
    left, at_s, settled = TimeLeft(), 0.0, 0
    for wait_s, more in steps:
        at_s, settled = at_s + wait_s, min(1000, settled + more)
        seconds = left.update(at_s, RUNNING.evolve(settled=settled))
        assert seconds is None or seconds >= 0


def test_plain_lines_come_every_few_seconds_and_at_each_change_of_state():
    clock = iter([0.0, 1.0, 4.9, 5.0, 6.0])
    stream = io.StringIO()
    with Lines(stream, every_s=5, clock=lambda: next(clock)) as lines:
        for settled in (0, 1, 2, 3):
            lines.show(RUNNING.evolve(settled=settled))
        lines.show(RUNNING.evolve(settled=1000, state=JobState.DONE))
    shown = [text.split(" items")[0] for text in stream.getvalue().splitlines()]
    assert shown == ["0/1,000", "3/1,000", "done · 1,000/1,000"]
