"""A batch row becomes a message: what SQL knows of its items, and only that."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, RowMapping

from firstline.orchestrator.core.job import Job
from firstline.orchestrator.core.ladder import Sub
from firstline.orchestrator.core.subtask_names import base_of, is_referral
from firstline.orchestrator.money.budgets import budget_caps
from firstline.orchestrator.plans import barriers, referral
from firstline.orchestrator.plans.patterns.base import View
from firstline.orchestrator.plans.referral import planned_of
from firstline.orchestrator.store import items, subtasks
from firstline.schemas.base import Json
from firstline.schemas.batch import WHOLE_JOB, Batch, BudgetCap, Todo, Work, progress_of
from firstline.schemas.job import ItemState
from firstline.schemas.plan import PlannedStep
from firstline.schemas.states import SubtaskState

#: A batch's row, as it was read or as it is written.
Row = RowMapping | Mapping[str, Any]


def assemble(tx: Connection, *, job: Job, row: Row) -> Batch | None:
    """Return the message of a batch, or None when nothing of it is left to ask."""
    return next(iter(assemble_all(tx, job=job, contents=see(tx, job=job, rows=[row]))), None)


@dataclass(frozen=True)
class BatchContents:
    """What a transaction knows of batches that it made, without another look."""

    #: The batches' own rows.
    rows: Sequence[Row] = ()
    #: Their items by number, and these items' subtasks.
    items: Mapping[int, RowMapping] = field(default_factory=dict)
    subs: Mapping[int, Mapping[str, Sub]] = field(default_factory=dict)


def see(tx: Connection, *, job: Job, rows: Sequence[Row]) -> BatchContents:
    """Read what batches are made of, all at once."""
    numbers = sorted({n for row in rows for n in row["items"]})
    return BatchContents(rows, items.load(tx, job=job.id, numbers=numbers), subs_of(tx, job=job, numbers=numbers))


def assemble_all(tx: Connection, *, job: Job, contents: BatchContents) -> list[Batch]:
    """Return the messages of batches in turn, as `assemble` does, without those of which nothing is left to ask."""
    owed = budget_caps(tx, job) if contents.rows else ()
    made = (_assemble(tx, job=job, row=row, contents=contents, owed=owed) for row in contents.rows)
    return [one for one in made if one is not None]


def _assemble(
    tx: Connection,
    *,
    job: Job,
    row: Row,
    contents: BatchContents,
    owed: tuple[BudgetCap, ...],
) -> Batch | None:
    loaded, subs = contents.items, contents.subs
    context = subs.get(WHOLE_JOB, {})
    work = tuple(
        made
        for n in row["items"]
        if n in loaded
        and loaded[n]["state"] in (ItemState.PENDING.value, ItemState.REVIEW.value)
        and (made := _work(tx, job=job, row=row, item=loaded[n], subs=subs.get(n, {}), context=context))
    )
    if not work:
        return None
    steps = _steps(job, row)
    skills = {name: job.plan.skills[name] for planned in steps if (name := planned.step.skill)}
    offered = {name for skill in skills.values() for name in skill.tools}
    wanted = offered | {planned.step.tool for planned in steps}
    verifiers = {signal.tier for skill in skills.values() for signal in skill.confidence if signal.tier}
    return Batch(
        id=row["id"],
        job=job.id,
        job_name=job.name,
        tenant=job.tenant,
        segment=row["segment"],
        shard=row["shard"],
        tier=job.tier(row["tier"]),
        ladder=job.ladder,
        others={name: job.tier(name) for name in sorted(verifiers)},
        steps=steps,
        skills=skills,
        tools={name: tool for name, tool in job.plan.tools.items() if name in wanted},
        folders=job.folders,
        caps=owed,
        cache=job.options.cache,
        priority=job.priority,
        deadline=job.deadline,
        items=0 if row["lane"] else job.items,
        work=work,
    )


def lane(n: int, step: str) -> str:
    """Return what sets a subtask's batch apart: of the whole job, or made by the engine, each goes by itself.

    What such a subtask is shown stands for its item's input, so no other may share its message.
    """
    return step if n == WHOLE_JOB or base_of(step) is not None else ""


def _steps(job: Job, row: Row) -> tuple[PlannedStep, ...]:
    """Return the steps that a batch may answer: its own alone, or those of its segment."""
    return (planned_of(job.plan, row["lane"]),) if row["lane"] else job.plan.segment(row["segment"])


def subs_of(tx: Connection, *, job: Job, numbers: Collection[int]) -> dict[int, dict[str, Sub]]:
    """Return the subtasks of items, and of the whole job where the plan has barriers."""
    rows = subtasks.standings(tx, job=job.id, numbers=numbers)
    if job.plan.segments > 1 and WHOLE_JOB not in numbers:
        # By itself: it is far from all others.
        rows += subtasks.standings(tx, job=job.id, numbers=[WHOLE_JOB])
    found: dict[int, dict[str, Sub]] = {}
    for row in rows:
        n, sub = row[0], _sub(row[1:])
        found.setdefault(n, {})[sub.step] = sub
    return found


def sub_of(row: RowMapping) -> Sub:
    """Return a subtask from its row."""
    return _sub([row[name] for name in subtasks.STANDING])


def _sub(columns: Sequence[Any]) -> Sub:
    sub = Sub(*columns)
    return sub._replace(feedback=tuple(sub.feedback))


def values_of(subs: Mapping[str, Sub]) -> dict[str, Json]:
    """Return step -> value of what has settled."""
    return {name: sub.value for name, sub in subs.items() if sub.state == SubtaskState.SETTLED}


def _work(
    tx: Connection,
    *,
    job: Job,
    row: Row,
    item: RowMapping,
    subs: Mapping[str, Sub],
    context: Mapping[str, Sub],
) -> Work | None:
    held = [sub for sub in subs.values() if sub.state == SubtaskState.OPEN and sub.batch == row["id"]]
    if not held:
        return None
    read = {name for planned in _steps(job, row) for name in planned.step.after}
    above = {name: value for name, value in values_of(context).items() if name in read}
    view = _view(tx, job=job, row=row, item=item, values={**above, **values_of(subs)})
    return Work(
        item=item["n"],
        item_id=item["item_id"],
        input=view.input,
        settled=view.settled,
        skipped=tuple(name for name, sub in subs.items() if sub.state == SubtaskState.SKIPPED),
        asked={name: sub.n for name, sub in subs.items() if sub.state == SubtaskState.WAITING},
        away=tuple(name for name, sub in subs.items() if sub not in held and sub.begun and not sub.ended),
        todo=tuple(_todo(sub) for sub in held),
    )


def _view(tx: Connection, *, job: Job, row: Row, item: RowMapping, values: dict[str, Json]) -> View:
    """Return what stands for the item and for earlier answers in this batch."""
    name = row["lane"]
    if item["n"] == WHOLE_JOB and base_of(name) is None:
        seen = barriers.view(tx, job=job, planned=job.plan.step(name))
        read = job.plan.step(name).step.after
        above = {step: value for step, value in values.items() if step in read}
        return View(seen.input or item["input"], {**above, **seen.settled})
    if is_referral(name):
        return referral.view(tx, job=job, name=name, n=item["n"], item=item["input"], values=values)
    return View(item["input"], values)


def _todo(sub: Sub) -> Todo:
    return Todo(step=sub.step, instruction=sub.instruction, **progress_of(sub))
