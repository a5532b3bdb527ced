"""Calibrations begun from the browser, watched there, and listed."""

from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response, UploadFile
from pydantic import Field, ValidationError

from firstline.orchestrator.experiments import background_calibration
from firstline.orchestrator.experiments.background_calibration import BackgroundCalibration
from firstline.orchestrator.experiments.calibration_aim import Aim
from firstline.orchestrator.quality.calibration.command import feasibility
from firstline.orchestrator.quality.calibration.standing import Standing
from firstline.orchestrator.quality.calibrations import standings
from firstline.orchestrator.web.access import Visitor
from firstline.orchestrator.web.pages.items import first_words
from firstline.orchestrator.web.pages.submit import Look, choices, look_at, order_of, said_wrong, source_of, with_items
from firstline.orchestrator.web.problem import Refusal
from firstline.orchestrator.web.session import Filled, FormOperator, Visit, go
from firstline.orchestrator.web.templating import render
from firstline.schemas.base import Frozen
from firstline.schemas.errors import UserError

router = APIRouter(prefix="/calibrate")

#: So many of the newest are listed.
_LISTED = 20
CalibrationId = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$", description="The calibration's id.")]


class AimForm(Frozen):
    """What is to be certified, as the form has it."""

    labels: int = Field(default=200, ge=1, le=100_000)
    max_loss: float | None = Field(default=None, gt=0, lt=1)
    gold: str | None = Field(default=None, max_length=200)
    field: str | None = Field(default=None, max_length=200)

    @classmethod
    def of(cls, filled: dict[str, str]) -> "AimForm":
        """Return what a form holds; UserError says what is wrong with which field."""
        given = {name: text for name in cls.model_fields if (text := filled.get(name, "").strip())}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise UserError(said_wrong(error)) from None


@router.get("")
def show_form(request: Request, visitor: Visit, workflow: str = "") -> Response:
    """Show the form, and the calibrations that were begun here."""
    return _form(request, {"workflow": workflow})


@router.post("/preview")
def show_preview(request: Request, visitor: FormOperator, filled: Filled, file: UploadFile | None = None) -> Response:
    """Show the first rows, and where each field is taken from; nothing is sent."""
    with source_of(file, filled.get("texts", "")) as source:
        seen = replace(look_at(filled, source, visitor), estimate=None, doubt=None)
    return render(request, "parts/preview.html", look=seen, first_words=first_words)


@router.post("")
def begin(request: Request, visitor: FormOperator, filled: Filled, file: UploadFile | None = None) -> Response:
    """Begin to calibrate; what does not fit is shown again with the reason."""
    with source_of(file, filled.get("texts", "")) as source:
        try:
            if source is None:
                raise UserError("no items: choose a file, or type some; a calibration draws a sample of them")
            if not filled.get("workflow"):
                raise UserError("expected a workflow or a skill to calibrate; choose one")
            order = with_items(order_of(filled), source, visitor)
            with order.checked():
                wanted = AimForm.of(filled)
            aim = Aim(labels=wanted.labels, max_loss=wanted.max_loss, gold=wanted.gold, field=wanted.field)
            run = background_calibration.begin(order, aim, by=visitor.name)
        except UserError as error:
            return _form(request, filled, str(error), look_at(filled, source, visitor))
    return go(f"/calibrate/{run}")


@router.get("/{calibration}")
def show_calibration(request: Request, visitor: Visit, calibration: CalibrationId) -> Response:
    """Show how far it is and what came of it."""
    return render(request, "calibration.html", **_shown(calibration, visitor))


@router.get("/{calibration}/live")
def show_live(request: Request, visitor: Visit, calibration: CalibrationId) -> Response:
    """Show how far it is."""
    return render(request, "parts/calibrating.html", **_shown(calibration, visitor))


def _shown(calibration: str, visitor: Visitor) -> dict[str, Any]:
    found = background_calibration.look(calibration, tenant=visitor.sees)
    if found is None:
        raise Refusal(HTTPStatus.NOT_FOUND, f"there is no calibration '{calibration}'; /calibrate lists them")
    return {"found": found, "can": _at_best(found), "made": _made(found, visitor)}


def _at_best(found: BackgroundCalibration) -> str:
    return feasibility(found.aim.labels, max_loss=found.aim.max_loss or 0.05, delta=found.aim.delta)


def _made(found: BackgroundCalibration, visitor: Visitor) -> list[Standing]:
    """Return the calibrations that are kept of its jobs."""
    jobs = {one.job for one in found.jobs}
    return [one for one in standings(tenant=visitor.sees) if one.job in jobs] if found.ended else []


def _form(request: Request, typed: dict[str, str], wrong: str | None = None, look: Look | None = None) -> Response:
    visitor = request.state.visitor
    return render(
        request,
        "calibrate.html",
        status=422 if wrong else 200,
        typed=typed,
        wrong=wrong,
        look=replace(look or Look(), estimate=None, doubt=None),
        begun=background_calibration.listing(tenant=visitor.sees, limit=_LISTED),
        **choices(visitor),
    )
