"""Jobs: submitted, listed, followed, and what came of them."""

import time
from collections.abc import AsyncIterator
from contextlib import closing
from http import HTTPStatus
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Form, Header, Query, Request, Response, UploadFile
from fastapi.responses import StreamingResponse
from sse_starlette import EventSourceResponse

from firstline.orchestrator import api
from firstline.orchestrator.reports.item_history import ItemLine, Story, item_line, story_of
from firstline.orchestrator.reports.plan_progress import StepFigures, anatomy
from firstline.orchestrator.results.results_file import CsvStyle, ResultFormat, lines
from firstline.orchestrator.store import item_lists, views
from firstline.orchestrator.store import jobs as job_store
from firstline.orchestrator.store.item_lists import ItemFilter
from firstline.orchestrator.submission.item_file import as_file
from firstline.orchestrator.web import access
from firstline.orchestrator.web.access import SeenJob, Submitter, Viewer, counted, lines_while_in, still_in
from firstline.orchestrator.web.api.submission import JobBody, JobOrder, as_named_file, submit
from firstline.orchestrator.web.json_body import JsonRoute
from firstline.orchestrator.web.parameters import NAME, ItemNumber, Limit
from firstline.orchestrator.web.problem import EVENT, Refusal, documented
from firstline.orchestrator.web.rates import OpenStream
from firstline.schemas.base import Frozen
from firstline.schemas.job import ItemState, JobState, JobStatus
from firstline.schemas.report import Report

router = APIRouter(route_class=JsonRoute, prefix="/v1/jobs", tags=["jobs"], responses=documented())

_POLL_S = 0.5
_MISSING = documented(HTTPStatus.NOT_FOUND)

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=120,
        pattern=r"^[\x21-\x7e]+$",
        description="The same key again returns the job of the first time and submits nothing.",
    ),
]


class JobList(Frozen):
    """A page of jobs, newest first."""

    jobs: tuple[JobStatus, ...]
    #: Give it as `before` to get the next page; None: this is the last one.
    next: str | None = None


class ItemList(Frozen):
    """A page of items, in order."""

    items: tuple[ItemLine, ...]
    #: Give it as `after` to get the next page; None: this is the last one.
    next: int | None = None


class Upload(JobOrder):
    """A job whose items come as a file: fields of a multipart form."""

    file: UploadFile


@router.post("", status_code=HTTPStatus.CREATED, responses=_MISSING, summary="Submit a job with its items")
def submit_job(body: JobBody, visitor: Submitter, response: Response, key: Key = None) -> JobStatus:
    """Write a job and have it begun; the answer says how it stands, `Location` where to look."""
    with as_file(body.items) as source:
        status = submit(body, source, visitor, key=key)
    response.headers["location"] = f"/v1/jobs/{status.job}"
    return status


@router.post(
    "/upload", status_code=HTTPStatus.CREATED, responses=_MISSING, summary="Submit a job whose items are a file"
)
def upload_job(
    upload: Annotated[Upload, Form(media_type="multipart/form-data")],
    visitor: Submitter,
    response: Response,
    key: Key = None,
) -> JobStatus:
    """Write a job with the items of a CSV (with a header), JSONL or JSON file, read in constant memory."""
    with as_named_file(upload.file.file, upload.file.filename or "") as source:
        status = submit(upload, source, visitor, key=key)
    response.headers["location"] = f"/v1/jobs/{status.job}"
    return status


@router.get("", summary="List jobs, newest first")
def list_jobs(
    visitor: Viewer,
    state: Annotated[list[JobState] | None, Query(description="Only in these states.")] = None,
    purpose: Annotated[str | None, Query(pattern=NAME, description="`run`, `calibrate`, `audit`, ...")] = None,
    before: Annotated[str | None, Query(pattern=r"^[0-9A-Za-z-]{1,40}$", description="`next` of a page.")] = None,
    limit: Limit = 50,
) -> JobList:
    """Return the jobs that the token may see."""
    states = [one.value for one in state or ()]
    with api.engine().db.reading() as tx:
        ids = views.job_ids(tx, tenant=visitor.sees, states=states, purpose=purpose, before=before, limit=limit + 1)
        found = [job_store.status(tx, job=job) for job in ids[:limit]]
    statuses = tuple(api.explained(found))
    return JobList(jobs=statuses, next=ids[limit - 1] if len(ids) > limit else None)


@router.get("/{job}", responses=_MISSING, summary="How a job stands")
def get_job(job: SeenJob) -> JobStatus:
    """Return the job's state, counts and costs at this moment."""
    return api.explained([api.status(job)])[0]


@router.get("/{job}/steps", responses=_MISSING, summary="How each step of a job stands")
def get_steps(job: SeenJob) -> list[StepFigures]:
    """Return counts, dollars, seconds and escalations of each step of the job's plan."""
    with api.engine().db.reading() as tx:
        return anatomy(tx, job=job)


@router.get(
    "/{job}/events",
    responses={
        **_MISSING,
        200: {
            "description": "An event `status` with a JobStatus whenever it changes; the stream ends with the job.",
            "content": {"text/event-stream": {"schema": EVENT}},
        },
    },
    response_class=EventSourceResponse,
    summary="Follow a job (server-sent events)",
)
async def follow_job(job: SeenJob, request: Request) -> EventSourceResponse:
    """Stream the job's status until it has ended."""
    return EventSourceResponse(counted(request, lambda mine: _statuses(job, request, mine)), ping=15)


async def _statuses(job: str, request: Request, mine: OpenStream) -> AsyncIterator[dict[str, Any]]:
    last: JobStatus | None = None
    asked_at = time.monotonic()
    with closing(mine):
        while not await request.is_disconnected():
            said = await anyio.to_thread.run_sync(api.status, job)
            if said != last:
                yield {"event": "status", "data": said.model_dump_json()}
            if said.state.ended:
                return
            last = said
            if time.monotonic() - asked_at > access.ASKED_AGAIN_S:
                if not await anyio.to_thread.run_sync(still_in, request):
                    return
                asked_at = time.monotonic()
            # A count over many items costs something: a larger job is looked at less often.
            await anyio.sleep(_POLL_S if said.items < 5000 else 2.0)


@router.get(
    "/{job}/results",
    responses={
        **_MISSING,
        200: {
            "description": "A line an item, in order; streamed.",
            "content": {
                "application/x-ndjson": {"schema": {"type": "string"}},
                "text/csv": {"schema": {"type": "string"}},
            },
        },
    },
    response_class=StreamingResponse,
    summary="The results, as JSON lines or CSV",
)
def get_results(
    job: SeenJob,
    request: Request,
    kind: Annotated[ResultFormat, Query(alias="format", description="How.")] = ResultFormat.JSONL,
    raw: Annotated[bool, Query(description="CSV cells as they are, although a spreadsheet may run some.")] = False,
    bom: Annotated[bool, Query(description="CSV with the mark by which Excel knows UTF-8.")] = False,
) -> StreamingResponse:
    """Stream every item's result; while the job runs, as far as it is."""
    media = "text/csv; charset=utf-8" if kind is ResultFormat.CSV else "application/x-ndjson"
    headers = {"content-disposition": f'attachment; filename="{job}.{kind.value}"'}
    found = lines(api.results(job), kind, CsvStyle(raw, bom))
    return StreamingResponse(lines_while_in(request, found), media_type=media, headers=headers)


@router.get("/{job}/items", responses=_MISSING, summary="List a job's items")
def list_items(
    job: SeenJob,
    state: Annotated[ItemState | None, Query(description="Only in this state.")] = None,
    tier: Annotated[str | None, Query(pattern=NAME, description="Only those that ended on this tier.")] = None,
    text: Annotated[str | None, Query(max_length=100, pattern=r"^[^\x00]*$", description="A part of the id.")] = None,
    after: Annotated[int, Query(ge=-1, le=2**31 - 1, description="`next` of a page.")] = -1,
    limit: Limit = 50,
) -> ItemList:
    """Return items in order, without their contents."""
    with api.engine().db.reading() as tx:
        rows = item_lists.items(tx, job=job, only=ItemFilter(state, tier, text), after=after, limit=limit + 1)
    more = rows[limit - 1]["n"] if len(rows) > limit else None
    return ItemList(items=tuple(item_line(row) for row in rows[:limit]), next=more)


@router.get("/{job}/items/{item}", responses=_MISSING, summary="One item with every attempt")
def get_item(job: SeenJob, item: ItemNumber) -> Story:
    """Return what was asked, every attempt with its checks and price, and what came of it."""
    with api.engine().db.reading() as tx:
        if views.item(tx, job=job, n=item) is None:
            raise Refusal(HTTPStatus.NOT_FOUND, f"job {job} has no item number {item}")
        return story_of(tx, job=job, n=item)


@router.get("/{job}/report", responses=_MISSING, summary="What a job cost and how well it went")
def get_report(job: SeenJob) -> Report:
    """Return the report of the job as it stands."""
    return api.report(job)
