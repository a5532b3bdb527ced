"""Spans of orchestrators and producers: the root of a job's trace, its plan, and each judging of a trail."""

from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import TYPE_CHECKING

from firstline.orchestrator.store import jobs
from firstline.schemas.batch import Trail
from firstline.schemas.plan import Plan

if TYPE_CHECKING:
    from firstline.config.telemetry.otel import Attributes, Tracer
    from firstline.orchestrator.core.context import Context
from firstline.orchestrator.core.job import Job

_NOTHING: AbstractContextManager[None] = nullcontext()


def judge_span(tracer: "Tracer | None", trail: Trail) -> AbstractContextManager[object]:
    """Return the span of judging a trail; without a tracer it does nothing."""
    if tracer is None:
        return _NOTHING
    told: Attributes = {
        "firstline.job": trail.job,
        "firstline.batch": trail.batch,
        "firstline.tier": trail.tier,
        "firstline.settled": sum(len(one.settled) for one in trail.items),
        "firstline.left": sum(len(one.left) for one in trail.items),
        "firstline.attempts": sum(len(one.attempts) for one in trail.items),
    }
    return tracer.within("judge", told, job=trail.job)


def trace_plan(tracer: "Tracer | None", job: str, plan: Plan, *, began: datetime) -> None:
    """Write the span in which a workflow became the plan of a job."""
    if tracer is not None:
        steps = [planned.step.name for planned in plan.steps]
        tracer.past(job, "plan", {"firstline.job": job, "firstline.steps": steps}, began=began)


def trace_job(engine: "Context", job: "Job") -> None:
    """Write the root of a job's trace, from its submission until it begins; what follows hangs below it."""
    if engine.tracer is None:
        return
    with engine.db.reading() as tx:
        submitted = jobs.get(tx, job=job.id)["created_at"]
    told: Attributes = {
        "firstline.job": job.id,
        "firstline.job.name": job.name,
        "firstline.tenant": job.tenant,
        "firstline.items": job.items,
        "firstline.tiers": list(job.ladder),
    }
    engine.tracer.root(job.id, f"job {job.name}", told, began=submitted)
