"""Quality and money across jobs: calibrations, audits, models, failures, spending."""

from typing import Annotated

from fastapi import APIRouter, Query

from firstline.orchestrator import api
from firstline.orchestrator.money.spending import Money, money
from firstline.orchestrator.quality import audits
from firstline.orchestrator.quality.calibration.standing import Standing
from firstline.orchestrator.quality.calibrations import standings
from firstline.orchestrator.quality.drift import Audit
from firstline.orchestrator.reports import model_stats
from firstline.orchestrator.reports.model_stats import Failure, Fault, ModelMarks
from firstline.orchestrator.web.access import Viewer
from firstline.orchestrator.web.json_body import JsonRoute
from firstline.orchestrator.web.problem import documented
from firstline.schemas.base import Frozen

router = APIRouter(route_class=JsonRoute, prefix="/v1", tags=["quality"], responses=documented())

Days = Annotated[int, Query(ge=1, le=3650, description="How many days back.")]


class Failures(Frozen):
    """Why items failed, and which faults were met on the way."""

    failures: tuple[Failure, ...]
    faults: tuple[Fault, ...]


@router.get("/calibrations", summary="Thresholds and their guarantees")
def list_calibrations(visitor: Viewer) -> list[Standing]:
    """Return all calibrations, newest first, dead ones among them."""
    return standings(tenant=visitor.sees)


@router.get("/audits", summary="What live audits say")
def list_audits(visitor: Viewer) -> list[Audit]:
    """Return the live loss of each audited skill and model with its interval."""
    return audits.findings(tenant=visitor.sees)


@router.get("/model-marks", summary="How models did")
def list_marks(visitor: Viewer, days: Days = 30) -> list[ModelMarks]:
    """Return answers, faults, seconds and dollars by model."""
    with api.engine().db.reading() as tx:
        return model_stats.model_marks(tx, tenant=visitor.sees, days=days)


@router.get("/failures", summary="Why items failed")
def list_failures(visitor: Viewer, days: Days = 30) -> Failures:
    """Return failed items by reason, and faults of models by kind."""
    with api.engine().db.reading() as tx:
        failed = model_stats.failures(tx, tenant=visitor.sees, days=days)
        return Failures(failures=tuple(failed), faults=tuple(model_stats.faults(tx, tenant=visitor.sees, days=days)))


@router.get("/money", summary="What was spent")
def get_money(visitor: Viewer, days: Days = 30) -> Money:
    """Return spending by model, skill, tenant and day beside the baseline of the top tier alone."""
    with api.engine().db.reading() as tx:
        return money(tx, tenant=visitor.sees, days=days)
