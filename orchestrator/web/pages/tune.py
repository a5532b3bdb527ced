"""Tunings begun from the browser, watched there, and listed; what they found, and its being applied."""

from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response, UploadFile

from firstline.config.catalogue.own_files import ChangedMeanwhile
from firstline.orchestrator.experiments import background
from firstline.orchestrator.experiments.background import ExperimentKind
from firstline.orchestrator.experiments.tune import kept as find_kept
from firstline.orchestrator.experiments.tune import prepare
from firstline.orchestrator.experiments.tune_apply import apply_tuning, tuning_drafts
from firstline.orchestrator.experiments.tune_report import KeptTuning
from firstline.orchestrator.experiments.tune_text import COLUMNS, cost_line, outcome, row
from firstline.orchestrator.web.access import Visitor
from firstline.orchestrator.web.api.experiments import ExperimentId, TuningFields, TuningNumber, experiment_of
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
from firstline.orchestrator.web.problem import Refusal
from firstline.orchestrator.web.session import Filled, FormAdmin, FormOperator, Visit, go
from firstline.orchestrator.web.templating import render
from firstline.schemas.errors import UserError

router = APIRouter()
_KIND = ExperimentKind.TUNING
add_pages(router, _KIND)


@router.post("/tune/preview")
def show_preview(request: Request, visitor: FormOperator, filled: Filled, file: UploadFile | None = None) -> Response:
    """Show the first rows, where each field is taken from, and what it costs at most; nothing is sent."""
    with rows_of(filled, file, visitor) as source:
        seen = without_cost(look_at(filled, source, visitor))
        cost = None
        if seen.seen is not None and seen.wrong is None:
            try:
                order = experiment_order(filled, source, visitor, doing="a tuning")
                with replace(order, map=seen.seen.mapping).checked() as usable:
                    cost = cost_line(prepare(usable, aim_fields(TuningFields, filled).aim))
            except UserError as error:
                seen = replace(seen, wrong=str(error))
    return render(request, "parts/tune_preview.html", look=seen, cost=cost, first_words=first_words)


@router.post("/tune")
def begin(request: Request, visitor: FormOperator, filled: Filled, file: UploadFile | None = None) -> Response:
    """Begin to tune; what does not fit is shown again with the reason."""
    with rows_of(filled, file, visitor) as source:
        try:
            order = experiment_order(filled, source, visitor, doing="a tuning")
            aim = aim_fields(TuningFields, filled).aim
            with order.checked() as usable:
                prepare(usable, aim)
            run = background.begin(order, aim, by=visitor.name)
        except UserError as error:
            return show_form(request, _KIND, filled, str(error), look_at(filled, source, visitor))
    return go(f"/tune/{run}")


@router.get("/tune/{experiment}")
def show_tuning(request: Request, visitor: Visit, experiment: ExperimentId) -> Response:
    """Show how far it is and what came of it."""
    found = experiment_of(experiment, visitor, _KIND)
    kept = find_kept(found.tuning, tenant=visitor.sees) if found.tuning is not None else None
    return render(request, "tuning.html", kept=kept, found=found, place="/tune", **(_told(kept) if kept else {}))


@router.get("/tunings/{number}")
def show_found(request: Request, visitor: Visit, number: TuningNumber) -> Response:
    """Show what a tuning found, one of the command line too."""
    kept = _kept(number, visitor)
    return render(request, "tuned.html", kept=kept, written=(), **_told(kept))


@router.post("/tunings/{number}/apply")
def apply(request: Request, visitor: FormAdmin, number: TuningNumber, filled: Filled) -> Response:
    """Show what applying a tuning would write; write it once that has been seen."""
    kept = _kept(number, visitor)
    again = "sure" in filled
    if again:
        versions = {name.removeprefix("version-"): text for name, text in filled.items() if name.startswith("version-")}
        with suppress(ChangedMeanwhile):
            written = apply_tuning(kept, by=visitor.name, versions=versions)
            return render(request, "tuned.html", kept=kept, written=written, **_told(kept))
    return render(request, "apply.html", kept=kept, drafts=tuning_drafts(kept), again=again)


def _kept(number: int, visitor: Visitor) -> KeptTuning:
    found = find_kept(number, tenant=visitor.sees)
    if found is None:
        raise Refusal(HTTPStatus.NOT_FOUND, f"there is no tuning {number}; /quality lists them")
    return found


def _told(kept: KeptTuning) -> dict[str, Any]:
    """Return what is shown of a tuning's outcome."""
    report = kept.report
    steps = [
        {
            "step": step,
            "outcome": outcome(step, report),
            "rows": list(map(row, step.candidates)),
            "chart": of_quality.cost_over_loss(report, step, number=kept.number),
        }
        for step in report.steps
    ]
    return {"steps": steps, "columns": COLUMNS, "certified": any(step.model for step in report.steps)}
