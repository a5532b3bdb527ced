"""Whether the web process is well, and what its API is."""

from typing import Annotated, Any, Literal

import anyio
from fastapi import APIRouter, Query, Request

from firstline.orchestrator import api
from firstline.orchestrator.core import audit_log
from firstline.orchestrator.core.audit_log import AuditEntry
from firstline.orchestrator.store import tokens
from firstline.orchestrator.web.access import Admin
from firstline.orchestrator.web.parameters import Limit
from firstline.orchestrator.web.problem import documented
from firstline.schemas.base import Frozen

router = APIRouter(tags=["service"])

#: Threads that are kept for whoever asks whether the service is well.
_LANE = anyio.CapacityLimiter(2)


class Health(Frozen):
    """The web process answers, and so does its database."""

    status: Literal["ok"] = "ok"


@router.get("/health", responses=documented(), summary="Whether the service is well")
async def get_health() -> Health:
    """Answer when the database answers; takes no token, and waits for no thread that something else may hold."""
    await anyio.to_thread.run_sync(_ask_database, limiter=_LANE)
    return Health()


def _ask_database() -> None:
    with api.engine().db.reading() as tx:
        tokens.count_live(tx)


@router.get("/v1/audit-log", responses=documented(), summary="Who did what, when, from where")
def get_audit_log(
    visitor: Admin, limit: Limit = 50, before: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None
) -> list[AuditEntry]:
    """Return what was sent to API and pages and done with tokens, newest first; `before`: the id of one of them."""
    return audit_log.deeds(api.engine().db, limit=limit, before=before)


@router.get("/openapi.json", include_in_schema=False)
def get_openapi(request: Request) -> dict[str, Any]:
    """Return the OpenAPI description."""
    spec: dict[str, Any] = request.app.openapi()
    return spec
