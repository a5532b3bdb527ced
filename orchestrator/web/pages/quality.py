"""Quality: calibrations, audits, how models do, and why items failed."""

from collections.abc import Iterable

from fastapi import APIRouter, Request, Response

from firstline.orchestrator import api
from firstline.orchestrator.experiments.tune_report import TuneReport
from firstline.orchestrator.quality import audits
from firstline.orchestrator.quality.calibrations import standings
from firstline.orchestrator.quality.families import listing as family_listing
from firstline.orchestrator.quality.students import listing as student_listing
from firstline.orchestrator.reports import model_stats
from firstline.orchestrator.store import tunings
from firstline.orchestrator.web.charts import of_quality
from firstline.orchestrator.web.charts.chart import Chart
from firstline.orchestrator.web.pages.money import Days
from firstline.orchestrator.web.session import Visit
from firstline.orchestrator.web.templating import render

router = APIRouter()
#: So many of the newest are shown.
_TUNINGS, _STUDENTS = 5, 20


@router.get("/quality")
def show_quality(request: Request, visitor: Visit, days: Days = 30) -> Response:
    """Show thresholds, live losses and error rates."""
    with api.engine().db.reading() as tx:
        found = model_stats.model_marks(tx, tenant=visitor.sees, days=days)
        tasks = model_stats.task_stats(tx, tenant=visitor.sees, days=days)
        by_model = model_stats.errors_by_day(tx, tenant=visitor.sees, days=days, by="model")
        by_skill = model_stats.errors_by_day(tx, tenant=visitor.sees, days=days, by="skill")
        tuned = tunings.listed(tx, tenant=visitor.sees, limit=_TUNINGS)
    known = standings(tenant=visitor.sees)
    reports = [(row["id"], row["at"], TuneReport.model_validate(row["report"])) for row in tuned]
    # Compares first what was answered since.
    audited = audits.findings(tenant=visitor.sees)
    return render(
        request,
        "quality.html",
        marks=found,
        tasks=tasks,
        audits=audited,
        calibrations=known,
        tunings=reports,
        students=student_listing.standings(tenant=visitor.sees)[:_STUDENTS],
        error_charts=_drawn(
            (
                of_quality.errors(by_model, name="models", title="Error rate by model"),
                of_quality.errors(by_skill, name="skills", title="Error rate by type of task"),
            )
        ),
        audit_charts=_drawn(of_quality.audited(one, looks) for one, looks in audits.courses(tenant=visitor.sees)),
        tuning_charts=_drawn(
            of_quality.cost_over_loss(found, step, number=number)
            for number, _, found in reports
            for step in found.steps
        ),
        calibration_charts=_drawn(of_quality.risk_and_coverage(one) for one in known if one.state != "dead"),
        days=days,
    )


@router.get("/families")
def show_families(request: Request, visitor: Visit) -> Response:
    """Show families of chat requests: who answers them, and what that saves."""
    found = family_listing.standings(tenant=visitor.sees)
    return render(
        request, "families.html", families=found, label=family_listing.label, state_of=family_listing.state_of
    )


@router.get("/failures")
def show_failures(request: Request, visitor: Visit, days: Days = 30) -> Response:
    """Show why items failed."""
    with api.engine().db.reading() as tx:
        failed = model_stats.failures(tx, tenant=visitor.sees, days=days)
        faults = model_stats.faults(tx, tenant=visitor.sees, days=days)
    causes: dict[str, list[model_stats.Failure]] = {}
    for failure in failed:
        causes.setdefault(failure.reason, []).append(failure)
    return render(request, "failures.html", causes=causes, faults=faults, days=days)


def _drawn(charts: Iterable[Chart | None]) -> list[Chart]:
    return [chart for chart in charts if chart is not None]
