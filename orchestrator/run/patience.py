"""How long `firstline run` waits while no model can be called: the work would go on by itself, but a person waits."""

import time
from collections.abc import Callable, Iterable, Iterator

from firstline.schemas.errors import UserError
from firstline.schemas.job import JobState, JobStatus

#: Seconds between two looks at a job that does not change.
BEAT_S = 1.0


class Stalled(UserError):
    """A run that waits in vain; the message says for what."""


def patient(
    statuses: Iterable[JobStatus], *, limit_s: float, clock: Callable[[], float] = time.monotonic
) -> Iterator[JobStatus]:
    """Yield statuses; raise Stalled when a running job says what it waits for and has not moved for `limit_s`."""
    moved_at, last = clock(), None
    for status in statuses:
        progress = (status.ended_items, status.review, status.cost_usd)
        if progress != last or status.state is not JobState.RUNNING or status.reason is None:
            moved_at, last = clock(), progress
        elif clock() - moved_at > limit_s:
            raise Stalled(f"nothing has moved for {limit_s:.0f} s: {status.reason}")
        yield status
