"""A batch row becomes a message: what SQL knows of its items, and only that."""

from collections.abc import Mapping

from sqlalchemy import Connection, RowMapping

from orchestrator.engine import Job
from orchestrator.ladder import Sub
from orchestrator.store import items
from schemas.base import Json
from schemas.batch import WHOLE_JOB, Batch, Ration, Todo, Work
from schemas.job import ItemState
from schemas.plan import PlannedStep


def assemble(tx: Connection, *, job: Job, row: RowMapping) -> Batch | None:
    """Return the message of a batch, or None when nothing of it is left to ask."""
    numbers = list(row["items"])
    loaded = items.load(tx, job=job.id, numbers=numbers)
    subs = subs_of(tx, job=job, numbers=numbers)
    context = subs.get(WHOLE_JOB, {})
    work = tuple(
        made
        for n in numbers
        if n in loaded
        and loaded[n]["state"] in (ItemState.PENDING.value, ItemState.REVIEW.value)
        and (made := _work(tx, job=job, row=row, item=loaded[n], subs=subs.get(n, {}), context=context))
    )
    if not work:
        return None
    steps = job.plan.segment(row["segment"])
    used = {planned.step.skill for planned in steps} - {None}
    skills = {name: skill for name, skill in job.plan.skills.items() if name in used}
    verifiers = {signal.tier for skill in skills.values() for signal in skill.confidence if signal.tier}
    return Batch(
        id=row["id"],
        job=job.id,
        job_name=job.name,
        segment=row["segment"],
        shard=row["shard"],
        tier=job.tier(row["tier"]),
        ladder=job.ladder,
        others={name: job.tier(name) for name in sorted(verifiers)},
        steps=steps,
        skills=skills,
        tools=job.plan.tools,
        folders=job.folders,
        rations=rations(job),
        cache=job.options.cache,
        work=work,
    )


def rations(job: Job) -> tuple[Ration, ...]:
    """Return the budgets that every call of a job must fit in."""
    return () if job.budget_usd is None else (Ration(key=f"job.{job.id}", cap_usd=job.budget_usd),)


def subs_of(tx: Connection, *, job: Job, numbers: list[int]) -> dict[int, dict[str, Sub]]:
    """Return the subtasks of items, and of the whole job where the plan has barriers."""
    wanted = {*numbers, WHOLE_JOB} if job.plan.segments > 1 else set(numbers)
    found = items.subtasks(tx, job=job.id, numbers=wanted)
    return {n: {step: sub_of(row) for step, row in rows.items()} for n, rows in found.items()}


def sub_of(row: RowMapping) -> Sub:
    """Return a subtask from its row."""
    return Sub(
        step=row["step"],
        tier=row["tier"],
        state=row["state"],
        n=row["n"],
        used=row["used"],
        referrals=row["referrals"],
        value=row["value"],
        feedback=tuple(row["feedback"]),
        effort=row["effort"],
        instruction=row["instruction"],
        reason=row["reason"],
        batch=row["batch"],
    )


def values_of(subs: Mapping[str, Sub]) -> dict[str, Json]:
    """Return step -> value of what has settled."""
    return {name: sub.value for name, sub in subs.items() if sub.state == "settled"}


def _work(
    tx: Connection,
    *,
    job: Job,
    row: RowMapping,
    item: RowMapping,
    subs: Mapping[str, Sub],
    context: Mapping[str, Sub],
) -> Work | None:
    held = [sub for sub in subs.values() if sub.state == "open" and sub.batch == row["id"]]
    if not held:
        return None
    above = values_of(context)
    if item["n"] == WHOLE_JOB:
        above = {**_all_items(tx, job=job, segment=row["segment"]), **above}
    return Work(
        item=item["n"],
        item_id=item["item_id"],
        input=item["input"],
        settled={**above, **values_of(subs)},
        skipped=tuple(name for name, sub in subs.items() if sub.state == "skipped"),
        todo=tuple(_todo(sub) for sub in held),
    )


def _todo(sub: Sub) -> Todo:
    return Todo(
        step=sub.step, n=sub.n, used=sub.used, feedback=sub.feedback, effort=sub.effort, instruction=sub.instruction
    )


def _all_items(tx: Connection, *, job: Job, segment: int) -> dict[str, Json]:
    """Return what a step of the whole job sees: step -> list of {id, value} over the items that have it."""
    steps: tuple[PlannedStep, ...] = job.plan.segment(segment)
    wanted = {name for planned in steps for name in planned.step.after}
    return {
        name: [{"id": item_id, "value": value} for _, item_id, value in items.outputs(tx, job=job.id, step=name)]
        for name in sorted(wanted)
        if job.plan.step(name).step.scope == "item"
    }
