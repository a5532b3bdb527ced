"""One job: how far it is, its plan as a graph with live figures, its items, and what may be done with it."""

from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import StreamingResponse

from firstline.config.settings import get_settings
from firstline.orchestrator import api
from firstline.orchestrator.money.job_estimate import shown_for
from firstline.orchestrator.reports.job_charts import over_time
from firstline.orchestrator.reports.model_stats import faults_of
from firstline.orchestrator.reports.pace import paces
from firstline.orchestrator.reports.plan_progress import anatomy
from firstline.orchestrator.reports.promise import sentences
from firstline.orchestrator.results.results_file import ResultFormat, lines
from firstline.orchestrator.store import views, webhooks
from firstline.orchestrator.web.access import find_job, lines_while_in
from firstline.orchestrator.web.charts.of_job import job_charts
from firstline.orchestrator.web.drawing import HEIGHT, WIDTH, draw
from firstline.orchestrator.web.pages.items import ItemQuery, items_of
from firstline.orchestrator.web.parameters import JobId
from firstline.orchestrator.web.problem import Refusal
from firstline.orchestrator.web.session import FormOperator, PageJob, go
from firstline.orchestrator.web.templating import flower_tasks, render
from firstline.schemas.errors import UserError

router = APIRouter(prefix="/jobs/{job}")

#: Tells htmx to ask no more.
_STOP_POLLING = 286


@router.get("")
def show_job(request: Request, job: PageJob, query: Annotated[ItemQuery, Query()]) -> Response:
    """Show the whole page."""
    with api.engine().db.reading() as tx:
        hook = webhooks.of(tx, job=job)
        faults = faults_of(tx, job=job)
    flower = flower_tasks(get_settings().flower_url, job)
    return render(request, "job.html", hook=hook, flower=flower, faults=faults, **_live(job), **items_of(job, query))


@router.get("/live")
def show_live(request: Request, job: PageJob) -> Response:
    """Show what changes while the job runs."""
    values = _live(job)
    return render(request, "parts/job_live.html", status=_STOP_POLLING if values["ended"] else 200, **values)


@router.get("/charts")
def show_charts(request: Request, job: PageJob) -> Response:
    """Show the charts of the job so far."""
    with api.engine().db.reading() as tx:
        found = over_time(tx, job=job)
        known = api.engine().job(tx, job)
    charts = tuple(job_charts(found, known.ladder)) if found else ()
    return render(request, "parts/job_charts.html", job=job, charts=charts, ended=known.state.ended)


@router.get("/report")
def show_report(request: Request, job: PageJob) -> Response:
    """Show what the job cost and how well it went."""
    report = api.report(job)
    promised = tuple(sentences(report.promise)) if report.promise else ()
    return render(request, "report.html", report=report, promised=promised, job=api.status(job))


@router.get("/results.{kind}")
def download(request: Request, job: PageJob, kind: ResultFormat) -> Response:
    """Stream the results as a file."""
    headers = {"content-disposition": f'attachment; filename="{job}.{kind.value}"'}
    found = lines_while_in(request, lines(api.results(job), kind))
    return StreamingResponse(found, media_type="application/octet-stream", headers=headers)


@router.post("/{act}")
def steer(
    job: JobId,
    visitor: FormOperator,
    act: Literal["pause", "resume", "cancel", "retry", "approve", "budget"],
    usd: Annotated[float | None, Form(gt=0, le=1e9)] = None,
) -> Response:
    """Do something with the job."""
    find_job(job, visitor)
    changed = True
    match act:
        case "pause":
            changed = api.pause(job)
        case "resume":
            changed = api.resume(job)
        case "cancel":
            changed = api.cancel(job)
        case "retry":
            changed = bool(api.retry(job))
        case "approve":
            changed = api.approve(job)
        case "budget":
            if usd is None:
                raise UserError("expected the dollars to add to the budget")
            api.raise_budget(job, usd)
    if not changed:
        raise Refusal(HTTPStatus.CONFLICT, f"job {job} is {api.status(job).state_in_words}: it cannot {act} now")
    return go(f"/jobs/{job}")


def _live(job: str) -> dict[str, Any]:
    (status,) = api.explained([api.status(job)])
    with api.engine().db.reading() as tx:
        steps = anatomy(tx, job=job)
        facts = views.job_facts(tx, job=job)
        pace = paces(tx, [status]).get(job)
        estimate = shown_for(tx, api.engine().job(tx, job))
    return {
        "job": status,
        "facts": facts,
        "estimate": estimate,
        "pace": pace,
        "steps": {step.name: step for step in steps},
        "drawing": draw({step.name: step.after for step in steps}),
        "box": {"w": WIDTH, "h": HEIGHT},
        "ended": status.state.ended,
        # A count over many items costs something: a larger job is looked at less often.
        "every_s": 2 if status.items < 20_000 else 10,
    }
