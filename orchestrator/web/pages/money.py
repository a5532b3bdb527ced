"""Money: what was spent beside what the top tier alone would have cost."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from firstline.orchestrator import api
from firstline.orchestrator.money.spending import money
from firstline.orchestrator.web.session import Visit
from firstline.orchestrator.web.templating import render

router = APIRouter()

Days = Annotated[int, Query(ge=1, le=3650)]


@router.get("/money")
def show_money(request: Request, visitor: Visit, days: Days = 30) -> Response:
    """Show spending by model, skill, tenant and day."""
    with api.engine().db.reading() as tx:
        found = money(tx, tenant=visitor.sees, days=days)
    return render(request, "money.html", money=found, days=days)
