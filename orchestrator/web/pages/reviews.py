"""The review queue: questions for a person, with a form made from the answer's schema."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from firstline.orchestrator import api
from firstline.orchestrator.engine import review
from firstline.orchestrator.engine.review import Question
from firstline.orchestrator.web.access import find_job
from firstline.orchestrator.web.api.reviews import StepName
from firstline.orchestrator.web.parameters import JobId
from firstline.orchestrator.web.schema_form import form_of, value_of
from firstline.orchestrator.web.session import Filled, FormOperator, Visit, go
from firstline.orchestrator.web.templating import render
from firstline.schemas.errors import UserError

router = APIRouter(prefix="/reviews")

_ItemId = Annotated[str, Query(min_length=1, max_length=200)]


@router.get("")
def show_reviews(request: Request, visitor: Visit) -> Response:
    """Show what waits for a person, oldest first."""
    return render(request, "reviews.html", waiting=review.waiting(api.engine(), tenant=visitor.sees, limit=200))


@router.get("/{job}")
def show_review(request: Request, visitor: Visit, job: JobId, item: _ItemId, step: StepName = None) -> Response:
    """Show one question with its form."""
    asked = review.question(api.engine(), job=find_job(job, visitor), item_id=item, step=step)
    return _form(request, asked)


@router.post("/{job}")
def answer(
    request: Request, visitor: FormOperator, job: JobId, item: _ItemId, filled: Filled, step: StepName = None
) -> Response:
    """Settle the question with what was filled in, or give it up; what does not fit is shown again with the reason."""
    find_job(job, visitor)
    asked = review.question(api.engine(), job=job, item_id=item, step=step)
    try:
        if filled.get("act") == "reject":
            review.reject(api.engine(), job=job, item_id=item, step=step, reason=_reason(filled))
        else:
            value = value_of(asked.output, filled)
            review.answer(api.engine(), job=job, item_id=item, step=step, value=value, note=filled.get("note", ""))
    except UserError as error:
        return _form(request, asked, filled=filled, wrong=str(error))
    return go("/reviews")


def _reason(filled: dict[str, str]) -> str:
    reason = filled.get("note", "").strip()
    if not reason:
        raise UserError("say in the note why it is rejected")
    return reason


def _form(
    request: Request, asked: Question, *, filled: dict[str, str] | None = None, wrong: str | None = None
) -> Response:
    last = next((one.value for one in reversed(asked.refused) if one.value is not None), None)
    fields = form_of(asked.output, last)
    if filled is not None:
        fields = tuple(field.evolve(value=filled.get(field.name, "")) for field in fields)
    return render(
        request,
        "review.html",
        status=422 if wrong else 200,
        question=asked,
        fields=fields,
        note=(filled or {}).get("note", ""),
        wrong=wrong,
    )
