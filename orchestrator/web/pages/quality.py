"""Quality: calibrations, audits, how models do, and why items failed."""

from fastapi import APIRouter, Request, Response

from orchestrator import api, auditing, marks
from orchestrator.standings import standings
from orchestrator.web.pages.money import Days
from orchestrator.web.session import Visit
from orchestrator.web.templating import render

router = APIRouter()


@router.get("/quality")
def show_quality(request: Request, visitor: Visit, days: Days = 30) -> Response:
    """Show thresholds, live losses and error rates."""
    with api.engine().db.reading() as tx:
        found = marks.model_marks(tx, tenant=visitor.sees, days=days)
    return render(request, "quality.html", marks=found, audits=auditing.findings(), calibrations=standings(), days=days)


@router.get("/failures")
def show_failures(request: Request, visitor: Visit, days: Days = 30) -> Response:
    """Show why items failed."""
    with api.engine().db.reading() as tx:
        failed = marks.failures(tx, tenant=visitor.sees, days=days)
        faults = marks.faults(tx, tenant=visitor.sees, days=days)
    causes: dict[str, list[marks.Failure]] = {}
    for failure in failed:
        causes.setdefault(failure.reason, []).append(failure)
    return render(request, "failures.html", causes=causes, faults=faults, days=days)
