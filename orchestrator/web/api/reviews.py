"""The review queue: what a policy sends to a person, and the person's word."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field

from firstline.orchestrator import api
from firstline.orchestrator.engine import review
from firstline.orchestrator.engine.review import Question, ReviewOutcome, Waiting
from firstline.orchestrator.web.access import SeenJob, SteeredJob, Viewer
from firstline.orchestrator.web.json_body import JsonRoute
from firstline.orchestrator.web.parameters import Limit
from firstline.orchestrator.web.problem import documented
from firstline.schemas.base import Frozen, Json

router = APIRouter(route_class=JsonRoute, prefix="/v1/reviews", tags=["reviews"], responses=documented())

_MISSING = documented(HTTPStatus.NOT_FOUND)
ItemId = Annotated[str, Path(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$", description="The item's id.")]
StepName = Annotated[
    str | None, Query(pattern=r"^[a-z][a-z0-9_]{0,99}$", description="The step, where an item waits at several.")
]


class Answer(Frozen):
    """A person's answer."""

    value: Json = Field(description="Fits the skill's output schema and passes its checks.")
    note: str = Field(default="", max_length=2000, pattern=r"^[^\x00]*$")


class Rejection(Frozen):
    """A person's no."""

    reason: str = Field(min_length=1, max_length=2000, pattern=r"^[^\x00]+$")


@router.get("", summary="What waits for a person")
def list_reviews(visitor: Viewer, limit: Limit = 50) -> list[Waiting]:
    """Return what waits, oldest first."""
    return review.waiting(api.engine(), limit=limit, tenant=visitor.sees)


@router.get("/{job}/{item}", responses=_MISSING, summary="One question")
def get_review(job: SeenJob, item: ItemId, step: StepName = None) -> Question:
    """Return the inputs, the form of the answer, and what models answered."""
    return review.question(api.engine(), job=job, item_id=item, step=step)


@router.post("/{job}/{item}/answer", responses=_MISSING, summary="Answer")
def answer_review(job: SteeredJob, item: ItemId, body: Answer, step: StepName = None) -> ReviewOutcome:
    """Settle the subtask with a person's answer, which also joins the skill's gold set."""
    return review.answer(api.engine(), job=job, item_id=item, value=body.value, step=step, note=body.note)


@router.post("/{job}/{item}/reject", responses=_MISSING, summary="Reject")
def reject_review(job: SteeredJob, item: ItemId, body: Rejection, step: StepName = None) -> ReviewOutcome:
    """Give the subtask up; its item fails with the person's reason."""
    return review.reject(api.engine(), job=job, item_id=item, reason=body.reason, step=step)
