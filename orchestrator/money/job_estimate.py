"""A job's own estimate: kept with it before it begins, or made anew from what is stored of its plan and items."""

from sqlalchemy import Connection

from firstline.orchestrator.core.context import Context
from firstline.orchestrator.core.job import Job
from firstline.orchestrator.money.estimate import SAMPLE, Sample, of_plan
from firstline.orchestrator.reports.formatting import dollars
from firstline.orchestrator.store import items, jobs
from firstline.schemas.batch import WHOLE_JOB
from firstline.schemas.estimate import Estimate
from firstline.schemas.job import JobState

#: A person has not said yes yet, or it is known no longer than a moment: nothing of it is spent but its planning.
_NOT_BEGUN = (JobState.RECEIVING, JobState.SUBMITTED, JobState.AWAITING_APPROVAL)


def of_job(tx: Connection, job: Job) -> Estimate:
    """Return what the plan of a job is expected to cost in all, by its stored items."""
    spread = range(0, job.items, max(1, job.items // SAMPLE))
    drawn = [row["input"] for row in items.load(tx, job=job.id, numbers=spread).values() if row["n"] != WHOLE_JOB]
    return of_plan(tx, job.plan, profile=job.profile, options=job.options, sample=Sample(job.items, drawn))


def shown_for(tx: Connection, job: Job) -> Estimate | None:
    """Return the estimate that was kept with a job, or that of one which has not begun; None: nobody made one."""
    kept = jobs.get(tx, job=job.id)["estimate"]
    if kept is not None:
        return Estimate.model_validate(kept)
    return of_job(tx, job) if job.state in _NOT_BEGUN else None


def keep(steering: Context, job_id: str, expected: Estimate | None = None) -> None:
    """Keep with a job what it is expected to cost; made from its stored items where nobody has it."""
    if expected is None:
        with steering.db.reading() as tx:
            expected = of_job(tx, steering.job(tx, job_id))
    with steering.db.writing() as tx:
        jobs.change(tx, job=job_id, estimate=expected.model_dump(mode="json"))


def above_top(expected: Estimate) -> str | None:
    """Say that a job is expected to cost more than the top tier alone; None where it is not."""
    if not expected.above_top:
        return None
    span = f"{dollars(expected.low_usd)} to {dollars(expected.high_usd)}"
    return (
        f"it is expected to cost {dollars(expected.cost_usd)} ({span}), more than the {dollars(expected.frontier_usd)} "
        "of the top tier alone; the option `tiers` of a job file runs it there alone"
    )
