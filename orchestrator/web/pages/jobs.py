"""The list of jobs, live."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from firstline.orchestrator import api
from firstline.orchestrator.store import jobs as job_store
from firstline.orchestrator.store import views
from firstline.orchestrator.web.access import Visitor
from firstline.orchestrator.web.session import Visit
from firstline.orchestrator.web.templating import render
from firstline.schemas.job import JobState

router = APIRouter()

_SHOWN = 25
_Before = Annotated[str, Query(pattern=r"^[0-9A-Za-z-]{0,40}$")]
_Purpose = Annotated[str, Query(pattern=r"^[a-z]{1,20}$")]


@router.get("/jobs")
def show_jobs(
    request: Request, visitor: Visit, state: str = "", purpose: _Purpose = "run", before: _Before = ""
) -> Response:
    """Show jobs, newest first."""
    return render(request, "jobs.html", **_page(visitor, state, purpose, before))


@router.get("/parts/jobs")
def show_table(
    request: Request, visitor: Visit, state: str = "", purpose: _Purpose = "run", before: _Before = ""
) -> Response:
    """Show the table alone: what the page asks for again and again."""
    return render(request, "parts/jobs.html", **_page(visitor, state, purpose, before))


def _page(visitor: Visitor, state: str, purpose: str, before: str) -> dict[str, Any]:
    states = [state] if state in list(JobState) else []
    wanted = None if purpose == "all" else purpose
    with api.engine().db.reading() as tx:
        ids = views.job_ids(
            tx, tenant=visitor.sees, states=states, purpose=wanted, before=before or None, limit=_SHOWN + 1
        )
        statuses = [job_store.status(tx, job=job) for job in ids[:_SHOWN]]
    shown = api.explained(statuses)
    return {
        "jobs": shown,
        "state": states[0] if states else "",
        "purpose": purpose,
        "before": before,
        "states": list(JobState),
        "next": ids[_SHOWN - 1] if len(ids) > _SHOWN else None,
        "live": any(not job.state.ended for job in shown),
    }
