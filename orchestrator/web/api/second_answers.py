"""An item's step asked again of another model, and the answer that stands."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field

from firstline.orchestrator import api
from firstline.orchestrator.core.job import Job
from firstline.orchestrator.experiments.ask_again import Offer, SecondAnswer, ask_again, offers, second_answers, take
from firstline.orchestrator.reports.item_history import Story, story_of
from firstline.orchestrator.store import views
from firstline.orchestrator.web.access import Operator, SeenJob, SteeredJob
from firstline.orchestrator.web.json_body import JsonRoute
from firstline.orchestrator.web.parameters import JOB_ID, NAME, ItemNumber
from firstline.orchestrator.web.problem import Refusal, documented
from firstline.schemas.base import Frozen

router = APIRouter(
    route_class=JsonRoute,
    prefix="/v1/jobs/{job}/items/{item}",
    tags=["second answers"],
    responses=documented(HTTPStatus.NOT_FOUND),
)

AnswerId = Annotated[str, Path(pattern=JOB_ID, description="The id of the second answer's own job.")]


class SecondQuestion(Frozen):
    """Which step is asked again, and of which model."""

    step: str = Field(pattern=NAME, description="Name of a step that was asked about this item.")
    model: str = Field(min_length=1, max_length=300, description="A model of the job's profile.")


@router.get("/offers", summary="Models that may be asked again")
def list_offers(
    job: SeenJob, item: ItemNumber, step: Annotated[str, Query(pattern=NAME, description="The step.")]
) -> tuple[Offer, ...]:
    """Return each model of the job's profile with what one call of it for this step is expected to cost."""
    parsed, story = _known(job, item)
    with api.engine().db.reading() as tx:
        return offers(tx, parsed, story, step)


@router.get("/answers", summary="What other models were asked")
def list_second_answers(job: SeenJob, item: ItemNumber) -> tuple[SecondAnswer, ...]:
    """Return second answers in the order in which they were asked for; `attempt` is there once one has come."""
    parsed, story = _known(job, item)
    with api.engine().db.reading() as tx:
        return second_answers(tx, parsed, story)


@router.post("/answers", status_code=HTTPStatus.CREATED, summary="Ask another model")
def ask_another(visitor: Operator, job: SteeredJob, item: ItemNumber, body: SecondQuestion) -> SecondAnswer:
    """Ask a model about a step once more, as a job of its own with one call; the item stays as it is."""
    _known(job, item)
    return _second(job, item, ask_again(job, item, step=body.step, model=body.model, role=visitor.role))


@router.post("/answers/{answer}/take", summary="Let a second answer stand")
def take_second_answer(visitor: Operator, job: SteeredJob, item: ItemNumber, answer: AnswerId) -> SecondAnswer:
    """Let another model's answer stand in place of the item's own; refused where `hindrance` says why."""
    _second(job, item, answer)
    take(job, item, answer=answer, by=visitor.name)
    return _second(job, item, answer)


def _known(job: str, item: int) -> tuple[Job, Story]:
    with api.engine().db.reading() as tx:
        if views.item(tx, job=job, n=item) is None:
            raise Refusal(HTTPStatus.NOT_FOUND, f"job {job} has no item number {item}")
        return api.engine().job(tx, job), story_of(tx, job=job, n=item)


def _second(job: str, item: int, answer: str) -> SecondAnswer:
    parsed, story = _known(job, item)
    with api.engine().db.reading() as tx:
        found = next((one for one in second_answers(tx, parsed, story) if one.job.job == answer), None)
    if found is None:
        raise Refusal(HTTPStatus.NOT_FOUND, f"job {answer} asked nothing about item {item} of job {job}")
    return found
