"""Jobs of the past: the last one, and its report with the baselines that were run for it."""

from firstline.config.settings import get_settings
from firstline.orchestrator import api
from firstline.orchestrator.reports import baselines
from firstline.orchestrator.run.embedded import embedded, running_redis, using_redis
from firstline.orchestrator.run.runner import View, audit
from firstline.orchestrator.store import jobs
from firstline.schemas.errors import UserError
from firstline.schemas.job import JobState
from firstline.schemas.jobfile import BaselineKind
from firstline.schemas.report import Report


def last_job() -> str:
    """Return the id of the newest job that a person asked for; UserError when there is none."""
    with api.engine().db.reading() as tx:
        newest = jobs.latest(tx, limit=1)
    if not newest:
        raise UserError("there are no jobs yet; `firstline run` starts one")
    return newest[0]


def full_report(job: str | None = None) -> Report:
    """Return the report of a job (None: the last one) with its measured baselines."""
    chosen = job or last_job()
    report = api.report(chosen)
    return baselines.compared(report, _baseline_reports(chosen), api.profile(chosen))


def _baseline_reports(job: str) -> dict[BaselineKind, Report]:
    with api.engine().db.reading() as tx:
        keys = {kind: baselines.key(job, kind) for kind in BaselineKind}
        found = {kind: jobs.with_key(tx, idempotency_key=key) for kind, key in keys.items()}
    reports = {kind: api.report(other) for kind, other in found.items() if other is not None}
    return {kind: report for kind, report in reports.items() if report.state == JobState.DONE.value}


def audit_again(job: str, *, budget_usd: float | None, quiet: bool) -> None:
    """Ask the top tier what is still to be audited of a job, starting what that needs where nothing runs."""
    settings = get_settings()
    profile, view = api.profile(job), View(quiet=quiet)
    if url := running_redis(settings):
        with using_redis(url):
            audit(job, None, view, budget_usd=budget_usd)
    else:
        with embedded(profile, settings) as runtime:
            audit(job, runtime.check, view, budget_usd=budget_usd)
