"""Calibrations begun from the browser, watched there, and listed."""

from fastapi import APIRouter, Request, Response, UploadFile

from firstline.orchestrator.experiments import background
from firstline.orchestrator.experiments.background import BackgroundExperiment, ExperimentKind
from firstline.orchestrator.quality.calibration.command import feasibility
from firstline.orchestrator.quality.calibration.standing import Standing
from firstline.orchestrator.quality.calibrations import standings
from firstline.orchestrator.web.access import Visitor
from firstline.orchestrator.web.api.experiments import CalibrationFields, ExperimentId, experiment_of
from firstline.orchestrator.web.charts import of_quality
from firstline.orchestrator.web.pages.experiments import (
    add_pages,
    aim_fields,
    experiment_order,
    rows_of,
    show_form,
    without_cost,
)
from firstline.orchestrator.web.pages.items import first_words
from firstline.orchestrator.web.pages.submit import look_at
from firstline.orchestrator.web.session import Filled, FormOperator, Visit, go
from firstline.orchestrator.web.templating import render
from firstline.schemas.errors import UserError

router = APIRouter()
_KIND = ExperimentKind.CALIBRATION
add_pages(router, _KIND)


@router.post("/calibrate/preview")
def show_preview(request: Request, visitor: FormOperator, filled: Filled, file: UploadFile | None = None) -> Response:
    """Show the first rows, and where each field is taken from; nothing is sent."""
    with rows_of(filled, file, visitor) as source:
        seen = without_cost(look_at(filled, source, visitor))
    return render(request, "parts/preview.html", look=seen, first_words=first_words)


@router.post("/calibrate")
def begin(request: Request, visitor: FormOperator, filled: Filled, file: UploadFile | None = None) -> Response:
    """Begin to calibrate; what does not fit is shown again with the reason."""
    with rows_of(filled, file, visitor) as source:
        try:
            order = experiment_order(filled, source, visitor, doing="a calibration")
            with order.checked():
                wanted = aim_fields(CalibrationFields, filled)
            run = background.begin(order, wanted.aim, by=visitor.name)
        except UserError as error:
            return show_form(request, _KIND, filled, str(error), look_at(filled, source, visitor))
    return go(f"/calibrate/{run}")


@router.get("/calibrate/{experiment}")
def show_calibration(request: Request, visitor: Visit, experiment: ExperimentId) -> Response:
    """Show how far it is and what came of it."""
    found = experiment_of(experiment, visitor, _KIND)
    made = _made(found, visitor)
    charts = [drawn for one in made if (drawn := of_quality.risk_and_coverage(one)) is not None]
    return render(
        request, "calibration.html", can=_at_best(found), made=made, charts=charts, found=found, place="/calibrate"
    )


def _at_best(found: BackgroundExperiment) -> str:
    return feasibility(found.aim.labels, max_loss=found.aim.max_loss or 0.05, delta=found.aim.delta)


def _made(found: BackgroundExperiment, visitor: Visitor) -> list[Standing]:
    """Return the calibrations that are kept of its jobs."""
    jobs = {one.job for one in found.jobs}
    return [one for one in standings(tenant=visitor.sees) if one.job in jobs] if found.ended else []
