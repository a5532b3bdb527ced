"""Families of chat requests: traffic, spend, state, saving, and why."""

from fastapi import APIRouter, Request, Response

from firstline.orchestrator.quality.families.listing import label, standings, state_of
from firstline.orchestrator.web.session import Visit
from firstline.orchestrator.web.templating import render

router = APIRouter()


@router.get("/families")
def show_families(request: Request, visitor: Visit) -> Response:
    """Show who answers which requests, and what that saves."""
    found = standings(tenant=visitor.sees)
    return render(request, "families.html", families=found, label=label, state_of=state_of)
