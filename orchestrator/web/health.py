"""Whether the web process is well, and what its API is."""

from typing import Any, Literal

from fastapi import APIRouter, Request

from firstline.orchestrator import api
from firstline.orchestrator.store import tokens
from firstline.orchestrator.web.problem import documented
from firstline.schemas.base import Frozen

router = APIRouter(tags=["service"])


class Health(Frozen):
    """The web process answers, and so does its database."""

    status: Literal["ok"] = "ok"


@router.get("/health", responses=documented(), summary="Whether the service is well")
def get_health() -> Health:
    """Answer when the database answers; takes no token."""
    with api.engine().db.reading() as tx:
        tokens.count_live(tx)
    return Health()


@router.get("/openapi.json", include_in_schema=False)
def get_openapi(request: Request) -> dict[str, Any]:
    """Return the OpenAPI description."""
    spec: dict[str, Any] = request.app.openapi()
    return spec
