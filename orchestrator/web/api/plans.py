"""Plans: how a workflow or a goal would be done, and the yes to a planner's plan."""

from http import HTTPStatus

from fastapi import APIRouter

from firstline.orchestrator import api
from firstline.orchestrator.api import preview
from firstline.orchestrator.store import jobs
from firstline.orchestrator.web.access import SeenJob, SteeredJob, Submitter
from firstline.orchestrator.web.api.submission import JobBody, request_of
from firstline.orchestrator.web.json_body import JsonRoute
from firstline.orchestrator.web.problem import Refusal, documented
from firstline.schemas.job import JobStatus
from firstline.schemas.plan import Plan

router = APIRouter(route_class=JsonRoute, prefix="/v1", tags=["plans"], responses=documented(HTTPStatus.NOT_FOUND))


@router.post("/plans", summary="Preview the plan of a workflow")
def preview_plan(visitor: Submitter, body: JobBody) -> Plan:
    """Return the plan that a job would have: steps, segments, start tiers, thresholds. Nothing is submitted."""
    return preview(request_of(body, visitor, key=None))


@router.get("/jobs/{job}/plan", summary="The plan of a job")
def get_plan(job: SeenJob) -> Plan:
    """Return the plan as it stands; it may grow while the job runs."""
    with api.engine().db.reading() as tx:
        plan = jobs.get(tx, job=job)["plan"]
    if plan is None:
        raise Refusal(HTTPStatus.NOT_FOUND, f"job {job} has no plan yet")
    return Plan.model_validate(plan)


@router.post("/jobs/{job}/plan/approve", responses=documented(HTTPStatus.CONFLICT), summary="Approve a plan")
def approve_plan(job: SteeredJob) -> JobStatus:
    """Let a job go on that waits for a person's yes to its plan."""
    if not api.approve(job):
        state = api.status(job).state.value
        raise Refusal(HTTPStatus.CONFLICT, f"job {job} is {state}; no plan of it waits for a yes")
    return api.status(job)
