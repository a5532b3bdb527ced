"""Steering a job: pause, resume, cancel, retry, its budget, and the yes to its plan."""

from http import HTTPStatus

from fastapi import APIRouter
from pydantic import Field

from firstline.orchestrator import api
from firstline.orchestrator.web.access import SteeredJob
from firstline.orchestrator.web.json_body import JsonRoute
from firstline.orchestrator.web.problem import Refusal, documented
from firstline.schemas.base import Frozen
from firstline.schemas.job import JobStatus

router = APIRouter(
    route_class=JsonRoute,
    prefix="/v1/jobs/{job}",
    tags=["steering"],
    responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)


class Raise(Frozen):
    """More money for a job."""

    add_usd: float = Field(gt=0, le=1e9, description="Dollars to add to the cap.")


class Retry(Frozen):
    """Which failed items to try again."""

    items: tuple[str, ...] | None = Field(default=None, max_length=10_000, description="Ids; all when missing.")


class RetryCount(Frozen):
    """How many items are tried again."""

    items: int


def _changed(job: str, changed: bool, wanted: str) -> JobStatus:
    status = api.status(job)
    if not changed:
        raise Refusal(HTTPStatus.CONFLICT, f"job {job} is {status.state.value}; it cannot be {wanted} now")
    return status


@router.post("/pause", summary="Pause a job")
def pause_job(job: SteeredJob) -> JobStatus:
    """Stop sending work; what is under way comes in and is kept."""
    return _changed(job, api.pause(job), "paused")


@router.post("/resume", summary="Go on with a paused job")
def resume_job(job: SteeredJob) -> JobStatus:
    """Go on where the job was paused."""
    return _changed(job, api.resume(job), "resumed")


@router.post("/cancel", summary="End a job")
def cancel_job(job: SteeredJob) -> JobStatus:
    """End the job; what has settled stays."""
    return _changed(job, api.cancel(job), "cancelled")


@router.post("/retry", summary="Try failed items again")
def retry_job(job: SteeredJob, body: Retry) -> RetryCount:
    """Open failed items again, all or those named; what has settled is not paid for again."""
    return RetryCount(items=api.retry(job, items=body.items))


@router.post("/budget", summary="Raise a job's budget")
def raise_budget(job: SteeredJob, body: Raise) -> JobStatus:
    """Add dollars to the job's cap, and go on if it was paused."""
    api.raise_budget(job, body.add_usd)
    return api.status(job)
