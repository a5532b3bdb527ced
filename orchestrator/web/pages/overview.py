"""The first page: what needs me, what is stuck, what is running, what did it cost."""

from typing import Any

from fastapi import APIRouter, Request, Response

from firstline.orchestrator import api
from firstline.orchestrator.money.spending import money
from firstline.orchestrator.monitoring.obstacles import Obstacle, ObstacleKind, obstacles
from firstline.orchestrator.reports.pace import Pace, paces
from firstline.orchestrator.store import calibrations, views
from firstline.orchestrator.store import jobs as job_store
from firstline.orchestrator.web.access import Visitor
from firstline.orchestrator.web.session import Visit
from firstline.orchestrator.web.templating import render
from firstline.schemas.base import Frozen
from firstline.schemas.job import JobState, JobStatus

router = APIRouter()

#: Jobs of each kind that are shown; the list of jobs has all of them.
_SHOWN = 12
_ENDED = 5
#: What a person decides, and what somebody who looks after the deployment mends.
_DECIDED = frozenset({ObstacleKind.PERSON, ObstacleKind.BUDGET})
_MENDED = frozenset({ObstacleKind.REDIS, ObstacleKind.ORCHESTRATOR, ObstacleKind.WORKER, ObstacleKind.MODELS})


class LiveJob(Frozen):
    """A job that has not ended."""

    status: JobStatus
    waits_for: tuple[Obstacle, ...] = ()
    #: None: no item ended of late.
    pace: Pace | None = None

    def waiting(self, kinds: frozenset[ObstacleKind]) -> tuple[Obstacle, ...]:
        """Return what of these it waits for."""
        return tuple(one for one in self.waits_for if one.kind in kinds)


@router.get("/")
def show_overview(request: Request, visitor: Visit) -> Response:
    """Show the whole page."""
    with api.engine().db.reading() as tx:
        ended = [state.value for state in JobState if state.ended]
        ids = views.job_ids(tx, tenant=visitor.sees, states=ended, purpose="run", by_end=True, limit=_ENDED)
        newest = [job_store.status(tx, job=job) for job in ids]
        today, week = (money(tx, tenant=visitor.sees, days=days) for days in (1, 7))
    return render(request, "overview.html", **_live(visitor), newest=newest, today=today, week=week)


@router.get("/parts/overview")
def show_live(request: Request, visitor: Visit) -> Response:
    """Show what changes: what the page asks for again and again."""
    return render(request, "parts/overview.html", **_live(visitor))


def _live(visitor: Visitor) -> dict[str, Any]:
    states = [state.value for state in JobState if not state.ended]
    with api.engine().db.reading() as tx:
        ids = views.job_ids(tx, tenant=visitor.sees, states=states, limit=_SHOWN + 1)
        statuses = [job_store.status(tx, job=job) for job in ids[:_SHOWN]]
        pace = paces(tx, statuses)
        drifted = [row for row in calibrations.every(tx, tenant=visitor.sees) if row["state"] == "drifted"]
    waits = obstacles(api.engine(), [one.job for one in statuses])
    live = [LiveJob(status=one, waits_for=waits.get(one.job, ()), pace=pace.get(one.job)) for one in statuses]
    return {
        "live": live,
        "decided": [(job, job.waiting(_DECIDED)) for job in live if job.waiting(_DECIDED)],
        "stuck": [(job, job.waiting(_MENDED)) for job in live if job.waiting(_MENDED)],
        "drifted": drifted,
        "more": len(ids) > _SHOWN,
    }
