"""Calibrations and tunings begun, watched and cancelled; and an item asked again of another model."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.convertors import StringConvertor, register_url_convertor

from firstline.orchestrator.experiments import background
from firstline.orchestrator.experiments.background import BackgroundExperiment, ExperimentKind
from firstline.orchestrator.experiments.calibration_aim import Aim
from firstline.orchestrator.experiments.tune import kept, prepare
from firstline.orchestrator.experiments.tune_report import TuneAim, TuneReport
from firstline.orchestrator.submission.item_file import as_file
from firstline.orchestrator.submission.run_request import Order
from firstline.orchestrator.web.access import Operator, Viewer, Visitor
from firstline.orchestrator.web.api.submission import JobBody, former_rows, with_items
from firstline.orchestrator.web.json_body import JsonRoute
from firstline.orchestrator.web.parameters import JOB_ID, Limit
from firstline.orchestrator.web.problem import Refusal, documented
from firstline.schemas.base import Frozen
from firstline.schemas.errors import UserError

router = APIRouter(
    route_class=JsonRoute, prefix="/v1", tags=["experiments"], responses=documented(HTTPStatus.NOT_FOUND)
)


class _Experiment(StringConvertor):
    """An experiment's id; where those of a kind are begun is none, so that GET there is 405."""

    regex = f"(?!(?:{'|'.join(ExperimentKind)})s$)[^/]+"


register_url_convertor("experiment", _Experiment())
ExperimentId = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$", description="The experiment's id.")]
TuningNumber = Annotated[int, Path(ge=1, le=2**31 - 1, description="The tuning's number.")]


class AimFields(Frozen):
    """What is to be certified, and from how many labels."""

    labels: int = Field(default=200, ge=1, le=100_000, description="Answers of the top model to buy at most, a step.")
    gold: str | None = Field(
        default=None, max_length=200, description="Item field with the right answer, in place of the top model's."
    )
    field: str | None = Field(default=None, max_length=200, description="Field of the answer that is compared with it.")


class CalibrationFields(AimFields):
    """What a calibration is to certify."""

    max_loss: float | None = Field(
        default=None, gt=0, lt=1, description="Share of items that may be lost; the skill's own when missing."
    )

    @property
    def aim(self) -> Aim:
        """The aim."""
        return Aim(labels=self.labels, max_loss=self.max_loss, gold=self.gold, field=self.field)


class TuningFields(AimFields):
    """What a tuning is to certify, and how many examples prompts are tried with."""

    max_loss: float = Field(default=0.05, gt=0, lt=1, description="Share of rows that may be lost.")
    delta: float = Field(default=0.1, gt=0, lt=1, description="Chance to bear that the promise fails.")
    examples: int = Field(default=6, ge=0, le=20, description="Answers of the top model that prompts are tried with.")

    @property
    def aim(self) -> TuneAim:
        """The aim."""
        return TuneAim(
            labels=self.labels,
            max_loss=self.max_loss,
            delta=self.delta,
            examples=self.examples,
            gold=self.gold,
            field=self.field,
        )


class ExperimentBody(JobBody):
    """A workflow or skill, and the rows that a sample is drawn from."""

    job: str | None = Field(
        default=None, pattern=JOB_ID, description="A former job whose items are the rows, in place of `items`."
    )


class CalibrationBody(CalibrationFields, ExperimentBody):
    """What to calibrate, on which rows, and what is to be certified."""


class TuningBody(TuningFields, ExperimentBody):
    """What to tune, on which rows, and what is to be certified."""


@router.post("/experiments/calibrations", status_code=HTTPStatus.CREATED, summary="Begin to calibrate")
def begin_calibration(visitor: Operator, body: CalibrationBody) -> BackgroundExperiment:
    """Find from which confidence on cheaper answers are good enough; it goes on by itself and costs what its jobs cost.

    The models, items and labels are as for `firstline calibrate`; jobs use what comes out from then on.
    """
    with _ordered(body, visitor) as order:
        run = background.begin(order, body.aim, by=visitor.name)
    return experiment_of(run, visitor)


@router.post("/experiments/tunings", status_code=HTTPStatus.CREATED, summary="Begin to tune")
def begin_tuning(visitor: Operator, body: TuningBody) -> BackgroundExperiment:
    """Find the cheapest certified pipeline; it goes on by itself, within `budget_usd` or what it costs at most."""
    with _ordered(body, visitor) as order:
        with order.checked() as usable:
            prepare(usable, body.aim)
        run = background.begin(order, body.aim, by=visitor.name)
    return experiment_of(run, visitor)


@router.get("/experiments", summary="Calibrations and tunings that were begun here")
def list_experiments(
    visitor: Viewer,
    kind: Annotated[ExperimentKind | None, Query(description="Only these; all when missing.")] = None,
    limit: Limit = 50,
) -> list[BackgroundExperiment]:
    """Return them, newest first, without their jobs."""
    return background.listing(kind, tenant=visitor.sees, limit=limit)


@router.get("/experiments/{experiment:experiment}", summary="One calibration or tuning")
def get_experiment(visitor: Viewer, experiment: ExperimentId) -> BackgroundExperiment:
    """Return how far it is, its jobs, and what came of it."""
    return experiment_of(experiment, visitor)


@router.post(
    "/experiments/{experiment}/cancel",
    responses=documented(HTTPStatus.CONFLICT),
    summary="Cancel a calibration or tuning",
)
def cancel_experiment(visitor: Operator, experiment: ExperimentId) -> BackgroundExperiment:
    """Cancel it and the jobs that answer for it; what was answered is kept."""
    found = experiment_of(experiment, visitor)
    if not background.cancel(experiment, tenant=visitor.sees, by=visitor.name):
        raise Refusal(HTTPStatus.CONFLICT, f"{found.kind} {experiment} is {found.state}; it cannot be cancelled now")
    return experiment_of(experiment, visitor)


@router.get("/tunings/{number}", summary="What a tuning found")
def get_tuning(visitor: Viewer, number: TuningNumber) -> TuneReport:
    """Return its models step by step, what is certified, and the curve of cost over loss."""
    found = kept(number, tenant=visitor.sees)
    if found is None:
        raise Refusal(HTTPStatus.NOT_FOUND, f"there is no tuning {number}; GET /v1/experiments names them")
    return found.report


def experiment_of(run: str, visitor: Visitor, kind: ExperimentKind | None = None) -> BackgroundExperiment:
    """Return one that the visitor may see; Refusal: there is none of that kind."""
    found = background.look(run, tenant=visitor.sees)
    if found is None or kind not in (None, found.kind):
        raise Refusal(HTTPStatus.NOT_FOUND, f"there is no {kind or 'experiment'} '{run}' that was begun here")
    return found


@contextmanager
def _ordered(body: ExperimentBody, visitor: Visitor) -> Iterator[Order]:
    if body.workflow is None:
        raise UserError("expected `workflow`: a workflow or skill, by name or itself; a goal is not experimented with")
    with _rows(body, visitor) as source:
        if source is None:
            raise UserError("expected `items`, or `job` (a former one, whose items are taken), got neither")
        order = with_items(body, source, visitor)
        with order.checked():
            yield order


@contextmanager
def _rows(body: ExperimentBody, visitor: Visitor) -> Iterator[FilePath | None]:
    if body.job is not None and not body.items:
        with former_rows(body.job, visitor) as source:
            yield source
        return
    with as_file(body.items) as given:
        yield given
