"""Progress: as it is drawn on terminals of several widths, as lines elsewhere, and the time left."""

import io
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from firstline.orchestrator.reports.progress import JobProgress, left_s, line, rate
from firstline.schemas.job import JobState, JobStatus
from tests.unit.terminal import draw

SCRIPT = [sys.executable, str(Path(__file__).with_name("progress_script.py"))]
RUNNING = JobStatus(
    job="j", name="n", state=JobState.RUNNING, items=1000, settled=0, failed=0, created_at=datetime.now(UTC)
)


@pytest.mark.parametrize(
    ("changes", "left", "text"),
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
        pytest.param(
            {"state": JobState.DONE, "failed": 1000},
            None,
            "done, nothing settled · 1,000/1,000 items · escalated 0 · failed 1,000 · $0.0000",
            id="ended, and no success",
        ),
    ],
)
def test_a_line_says_what_is_done_what_climbed_what_failed_and_what_it_cost(changes, left, text):
    assert line(RUNNING.evolve(**changes), left) == text


# On a terminal ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_terminal_shows_the_bar_and_all_its_figures_at_every_width(columns):
    drawn = draw(SCRIPT, columns=columns)
    assert drawn.exit_code == 0
    # What is read of a terminal may end amid a drawing: the fullest screen is a whole one.
    under_way = max(
        (screen for screen in drawn.screens if "1,000/2,000" in "".join(screen)), key=lambda rows: len("".join(rows))
    )
    bar = under_way[0]
    assert bar[0] == "━"
    for figure in ("1,000/2,000", "$1.2345", "/s", "left"):
        assert figure in bar
    below = " ".join(under_way[1:])
    for part in ("frontier alone:", "cheap 880", "escalated 100 (10%)", "failed 20", "$1.2345 of $5.0000"):
        assert part in below
    assert "left alone for 30 s after server errors" in below, "the reason is wrapped, not cropped"
    assert not any("…" in row for screen in drawn.screens for row in screen)


@pytest.mark.parametrize("columns", [60, 120])
def test_what_follows_the_bar_begins_on_a_row_of_its_own(columns):
    ended, stopped = (draw([*SCRIPT, *more], columns=columns) for more in ([], ["--stopped"]))
    assert ended.last[-1] == stopped.last[-1] == "the report"
    assert "2,000/2,000" in ended.last[0]
    assert "done" in ended.last[1]
    assert sum("━" in row for row in ended.last) == 1, "it is redrawn in place"


# Elsewhere --------------------------------------------------------------------------------------------------------


def watched(clock, every_s=5.0) -> JobProgress:
    console = Console(file=io.StringIO(), force_terminal=False)
    return JobProgress(console, every_s=every_s, clock=clock)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_plain_lines_come_every_few_seconds_and_at_each_change_of_state():
    clock = Clock()
    with watched(clock) as progress:
        for at_s, settled in ((0.0, 0), (1.0, 1), (4.9, 2), (5.0, 3)):
            clock.now = at_s
            progress.show(RUNNING.evolve(settled=settled))
        clock.now = 6.0
        progress.show(RUNNING.evolve(settled=1000, state=JobState.DONE))
    shown = [text.split(" items")[0] for text in progress.console.file.getvalue().splitlines()]
    assert shown == ["0/1,000", "3/1,000", "done · 1,000/1,000"]


def test_time_left_follows_the_latest_rate_not_the_average():
    clock, progress = Clock(), None
    progress = watched(clock)
    for at_s, settled in ((0, 0), (100, 100), (110, 200), (120, 300), (130, 400)):
        clock.now = at_s
        progress.show(RUNNING.evolve(settled=settled))
    assert rate(progress.tasks[0]) == pytest.approx(10)
    assert left_s(progress.tasks[0]) == pytest.approx(60)


def test_a_slow_jobs_rate_is_that_since_the_watching_began():
    clock = Clock()
    progress = watched(clock)
    progress.show(RUNNING.evolve(settled=500))
    assert left_s(progress.tasks[0]) is None
    clock.now = 100.0
    progress.show(RUNNING.evolve(settled=501))
    clock.now = 200.0
    progress.show(RUNNING.evolve(settled=502))
    assert rate(progress.tasks[0]) == pytest.approx(0.01)


@given(st.lists(st.tuples(st.floats(0.01, 100), st.integers(0, 50)), min_size=1, max_size=20))
def test_time_left_is_never_negative(steps):
    clock, settled = Clock(), 0
    progress = watched(clock)
    for wait_s, more in steps:
        clock.now, settled = clock.now + wait_s, min(1000, settled + more)
        progress.show(RUNNING.evolve(settled=settled))
        left = left_s(progress.tasks[0])
        assert left is None or left >= 0
