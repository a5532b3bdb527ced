"""How fast jobs get on of late, and how long they take yet; from SQL, so that anybody may ask."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from firstline.orchestrator.store import jobs, views
from firstline.schemas.base import Frozen
from firstline.schemas.job import JobStatus

#: The pace is taken over so much time, or since the job began where that is less.
_WINDOW = timedelta(minutes=2)
_LEAST = timedelta(seconds=2)


class Pace(Frozen):
    """How fast a job gets on."""

    #: Items that ended in a minute of late.
    per_minute: float
    #: Until its last item has ended, if it goes on so.
    left_s: float


def paces(tx: Connection, statuses: Sequence[JobStatus]) -> dict[str, Pace]:
    """Return job -> its pace, for those that work and of which items ended of late."""
    working = [one for one in statuses if one.state.works]
    now = jobs.clock(tx)
    ended = views.ended_since(tx, jobs=[one.job for one in working], since=now - _WINDOW)
    return {one.job: _pace(one, ended[one.job], now) for one in working if ended.get(one.job)}


def _pace(status: JobStatus, ended: int, now: datetime) -> Pace:
    begun = status.started_at or now
    per_minute = ended / (min(_WINDOW, max(_LEAST, now - begun)) / timedelta(minutes=1))
    left = status.items - status.ended_items - status.review
    return Pace(per_minute=per_minute, left_s=60 * left / per_minute)
