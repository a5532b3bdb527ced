"""A job that is watched, for the tests that draw it: its statuses come a tenth of a second apart."""

import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

from firstline.orchestrator.reports.progress import show_progress
from firstline.schemas.job import JobState, JobStatus

ITEMS = 2000
WHY = "no model of tier 'frontier' can be called now: openai/large is left alone for 30 s after server errors"


def statuses() -> Iterator[JobStatus]:
    for ended in range(0, ITEMS + 1, 250):
        failed, up = ended // 50, ended // 10
        yield JobStatus(
            job="1129-00000000",
            name="triage",
            state=JobState.DONE if ended == ITEMS else JobState.RUNNING,
            reason=WHY if ended == 1000 else None,
            items=ITEMS,
            settled=ended - failed,
            failed=failed,
            escalated=up,
            by_tier={"cheap": ended - up - failed, "frontier": up},
            cost_usd=ended * 0.0012345,
            budget_usd=5.0,
            created_at=datetime.now(UTC),
        )
        time.sleep(0.1)


if __name__ == "__main__":
    if "--stopped" in sys.argv:
        with suppress(ZeroDivisionError):
            show_progress(status for status in statuses() if status.ended_items < 1000 or 1 / 0)
    else:
        show_progress(statuses(), title="frontier alone: ")
    sys.stdout.write("the report\n")
