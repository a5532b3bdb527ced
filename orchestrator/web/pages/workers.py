"""Workers: processes, queues with what waits in them, models with cool-downs and limits in use."""

from fastapi import APIRouter, Request, Response

from firstline.orchestrator.web.monitoring import deployment_now, without_jobs
from firstline.orchestrator.web.session import Visit
from firstline.orchestrator.web.templating import render

router = APIRouter()


@router.get("/workers")
def show_workers(request: Request, visitor: Visit) -> Response:
    """Show the whole page."""
    return _render(request, "workers.html", visitor)


@router.get("/parts/workers")
def show_table(request: Request, visitor: Visit) -> Response:
    """Show what changes: what the page asks for again and again."""
    return _render(request, "parts/workers.html", visitor)


def _render(request: Request, template: str, visitor: Visit) -> Response:
    found = deployment_now(request)
    return render(request, template, found=found if visitor.sees is None else without_jobs(found))
