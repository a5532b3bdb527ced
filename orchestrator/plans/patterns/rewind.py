"""Going back in a plan: steps, and what was built on them, are asked anew."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from sqlalchemy import Connection

from firstline.orchestrator.core.job import Job
from firstline.orchestrator.plans.patterns.base import Next
from firstline.orchestrator.store import batches, jobs, rework
from firstline.schemas.batch import WHOLE_JOB
from firstline.schemas.plan import Plan


def dependents(plan: Plan, first: Collection[str], *, upto: int) -> list[str]:
    """Return steps and all that was built on them, up to a segment, in the plan's order."""
    found = set(first)
    for planned in plan.steps:
        if planned.segment <= upto and not found.isdisjoint(planned.step.after):
            found.add(planned.step.name)
    return [planned.step.name for planned in plan.steps if planned.step.name in found]


def rewind(
    tx: Connection,
    *,
    job: Job,
    first: Sequence[str],
    numbers: Sequence[int],
    upto: int,
    feedback: Sequence[str] = (),
    but: str | None = None,
) -> Next:
    """Have steps asked anew for some items, with feedback, and then what was built on them up to a segment.

    Where feedback brings a step no better answer, its earlier one stands, since it passed its checks; what was built
    on it is made anew all the same. Steps of the whole job that were built on them are asked anew too, except `but`.
    """
    again = [job.plan.step(name) for name in dependents(job.plan, first, upto=upto) if name != but]
    whole = [planned.step.name for planned in again if planned.step.is_barrier]
    single = [planned.step.name for planned in again if not planned.step.is_barrier]
    for steps, who in ((whole, [WHOLE_JOB]), (single, numbers)):
        told = [name for name in steps if name in first]
        rework.ask_anew(tx, job=job.id, numbers=who, steps=told, feedback=feedback, keep=bool(feedback))
        rework.ask_anew(tx, job=job.id, numbers=who, steps=[name for name in steps if name not in first])
    segment = min(planned.segment for planned in again)
    if single:
        rework.go_back(tx, job=job.id, numbers=numbers, segment=segment)
    jobs.change(tx, job=job.id, segment=segment)
    batches.forget_shards(tx, job=job.id, segment=segment)
    return Next(replace(job, segment=segment), back_to=segment)
