"""What the pages of calibrations and of tunings have in common: their forms, their rows, and how they are watched."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from fastapi import APIRouter, Request, Response, UploadFile
from pydantic import ValidationError

from firstline.orchestrator.experiments import background
from firstline.orchestrator.experiments.background import ExperimentKind
from firstline.orchestrator.submission.run_request import Order
from firstline.orchestrator.web.access import Visitor
from firstline.orchestrator.web.api.experiments import AimFields, ExperimentId, experiment_of
from firstline.orchestrator.web.api.submission import former_rows, with_items
from firstline.orchestrator.web.pages.submit import Look, choices, order_of, said_wrong, source_of
from firstline.orchestrator.web.parameters import JOB_ID
from firstline.orchestrator.web.session import FormOperator, Visit, go
from firstline.orchestrator.web.templating import render
from firstline.schemas.errors import UserError

A = TypeVar("A", bound=AimFields)

#: What a kind's pages and its form are called.
_NAMES = {ExperimentKind.CALIBRATION: "calibrate", ExperimentKind.TUNING: "tune"}
#: So many of the newest are listed.
_LISTED = 20


def aim_fields(model: type[A], filled: dict[str, str]) -> A:
    """Return what a form wants certified; UserError says what is wrong with which field."""
    given = {name: text for name in model.model_fields if (text := filled.get(name, "").strip())}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise UserError(said_wrong(error)) from None


@contextmanager
def rows_of(filled: dict[str, str], file: UploadFile | None, visitor: Visitor) -> Iterator[Path | None]:
    """Yield a form's rows as a file: those uploaded, else those typed, else a former job's; None: none of them.

    UserError, Refusal: there is no such job that the visitor may see.
    """
    job = filled.get("job", "").strip()
    if not job or (file is not None and file.filename) or filled.get("texts", "").strip():
        with source_of(file, filled.get("texts", "")) as source:
            yield source
        return
    if not re.fullmatch(JOB_ID, job):
        raise UserError(f"expected the id of a job whose rows are taken, got '{job}'")
    with former_rows(job, visitor) as source:
        yield source


def experiment_order(filled: dict[str, str], source: Path | None, visitor: Visitor, *, doing: str) -> Order:
    """Return the order that a form holds; UserError where a workflow or its rows are missing."""
    if source is None:
        raise UserError(f"no items: choose a file, type some, or name a job; {doing} draws a sample of them")
    if not filled.get("workflow"):
        raise UserError(f"expected a workflow or a skill for {doing}; choose one")
    return with_items(order_of(filled), source, visitor)


def add_pages(router: APIRouter, kind: ExperimentKind) -> None:
    """Add what both kinds have: the empty form, the part that is loaded anew while one runs, and cancelling it."""
    place = f"/{_NAMES[kind]}"

    @router.get(place)
    def show_empty(request: Request, visitor: Visit, workflow: str = "", job: str = "") -> Response:
        """Show the form, and those that were begun here; `job`: with that job's rows."""
        return show_form(request, kind, {"workflow": workflow, "job": job})

    @router.get(f"{place}/{{experiment}}/live")
    def show_live(request: Request, visitor: Visit, experiment: ExperimentId) -> Response:
        """Show how far it is; once it has ended, have the whole page loaded again."""
        found = experiment_of(experiment, visitor, kind)
        answer = render(request, "parts/experiment.html", found=found, place=place)
        if found.ended:
            answer.headers["hx-refresh"] = "true"
        return answer

    @router.post(f"{place}/{{experiment}}/cancel")
    def cancel(visitor: FormOperator, experiment: ExperimentId) -> Response:
        """Cancel it, and the jobs that answer for it."""
        experiment_of(experiment, visitor, kind)
        background.cancel(experiment, tenant=visitor.sees, by=visitor.name)
        return go(f"{place}/{experiment}")


def show_form(
    request: Request,
    kind: ExperimentKind,
    typed: dict[str, str],
    wrong: str | None = None,
    look: Look | None = None,
) -> Response:
    """Show a form with what was typed, why it will not do, and those of its kind that were begun."""
    visitor = request.state.visitor
    return render(
        request,
        f"{_NAMES[kind]}.html",
        status=422 if wrong else 200,
        typed=typed,
        wrong=wrong,
        look=without_cost(look or Look()),
        begun=background.listing(kind, tenant=visitor.sees, limit=_LISTED),
        **choices(visitor),
    )


def without_cost(look: Look) -> Look:
    """Return what is seen of the rows; what a job of them costs is another matter."""
    return replace(look, estimate=None, doubt=None)
