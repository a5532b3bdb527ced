"""What standings mean for the store: subtasks, items, follow-up batches and the shard's count, in one transaction."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from uuid import uuid4

from sqlalchemy import Connection, RowMapping

from firstline.orchestrator.core.job import Job
from firstline.orchestrator.core.ladder import Standing, Sub, keep_earlier, output, record, stand
from firstline.orchestrator.engine.messages import BatchContents, lane, subs_of, values_of
from firstline.orchestrator.engine.segments import close_shard, fail, open_segment, settles_after
from firstline.orchestrator.plans import barriers
from firstline.orchestrator.plans.referral import carry_out, note_referred
from firstline.orchestrator.store import batches, items, subtasks
from firstline.orchestrator.store.database import log_after
from firstline.orchestrator.store.jobs import clock, now
from firstline.schemas.attempt import Attempt
from firstline.schemas.base import Json
from firstline.schemas.batch import WHOLE_JOB, ItemTrail, Left
from firstline.schemas.job import ItemState
from firstline.schemas.plan import GATHERED, PlannedStep, step_of
from firstline.schemas.states import BatchState, SubtaskState
from firstline.schemas.tier import TierKind

_log = logging.getLogger(__name__)
_OPEN = (ItemState.PENDING.value, ItemState.REVIEW.value)


class ShardUpdate(NamedTuple):
    """What came of it: ids of new batches, whether the shard closed, and what these batches are made of."""

    batches: list[str]
    closed: bool
    contents: BatchContents


class Place(NamedTuple):
    """Where in a job items are brought up to date: a shard of a segment, after a batch where one came back."""

    job: Job
    segment: int
    shard: int
    parent: str | None = None
    #: Tier of that batch.
    tier: str = ""


def apply(
    tx: Connection,
    place: Place,
    numbers: Sequence[int],
    *,
    trails: Mapping[int, ItemTrail] | None = None,
    size: Callable[[str], int] | None = None,
) -> ShardUpdate:
    """Bring items' standing up to date, after trails if there are any: decide, write, move on.

    `size` gives the items of one batch on a tier; without it what goes on to a tier goes on together.
    """
    job, trails = place.job, trails or {}
    loaded = items.load(tx, job=job.id, numbers=numbers, lock=True)
    before = subs_of(tx, job=job, numbers=list(numbers))
    standings = _decide(tx, place, loaded, before, trails)
    contents, finished = _write(tx, place, standings, loaded=loaded, trails=trails, size=size)
    if WHOLE_JOB in standings:
        ahead = _pass_barrier(tx, job, standings[WHOLE_JOB], before.get(WHOLE_JOB, {}), trails.get(WHOLE_JOB))
        if ahead is None:
            return ShardUpdate([], False, BatchContents())
        job = ahead
    closed = close_shard(tx, job=job, segment=place.segment, shard=place.shard, finished=finished)
    if WHOLE_JOB in before:
        contents = replace(contents, subs={WHOLE_JOB: before[WHOLE_JOB], **contents.subs})
    return ShardUpdate([batch["id"] for batch in contents.rows], closed, contents)


def _decide(
    tx: Connection,
    place: Place,
    loaded: Mapping[int, RowMapping],
    before: Mapping[int, Mapping[str, Sub]],
    trails: Mapping[int, ItemTrail],
) -> dict[int, Standing]:
    """Return where each item stands now; what was decided on referrals is noted."""
    job, parent = place.job, place.parent
    context = values_of(before.get(WHOLE_JOB, {})) if job.plan.segments > 1 else {}
    standings: dict[int, Standing] = {}
    for n, item in loaded.items():
        known = before.get(n, {})
        after: Mapping[str, Sub] = known
        if n in trails:
            freed = {step: sub._replace(batch=None) if sub.batch == parent else sub for step, sub in known.items()}
            current = _current(trails[n], known, parent)
            after = record(freed, current, ladder=job.ladder, tier=place.tier, plan=job.plan)
        after, decided = carry_out(after, plan=job.plan, ladder=job.ladder)
        note_referred(tx, job=job.id, item=n, decided=decided, trail=trails.get(n))
        after = keep_earlier(after)
        if n == WHOLE_JOB:
            after = barriers.forgive(after, job.plan)
        standings[n] = stand(
            after,
            before=known,
            plan=job.plan,
            segment=place.segment,
            item=item["input"],
            context=context,
            start=partial(_start, job, n),
        )
    return standings


def _write(
    tx: Connection,
    place: Place,
    standings: Mapping[int, Standing],
    *,
    loaded: Mapping[int, RowMapping],
    trails: Mapping[int, ItemTrail],
    size: Callable[[str], int] | None,
) -> tuple[BatchContents, int]:
    """Write subtasks, items and what goes on as new batches; return these and how many items are through."""
    made = _batches(tx, place, standings, loaded, size)
    subs = _save_subtasks(tx, job=place.job, standings=standings, made=made)
    finished = _save_items(tx, job=place.job, segment=place.segment, trails=trails, standings=standings, loaded=loaded)
    batches.insert(tx, rows=made)
    return BatchContents(made, loaded, subs), finished


def _start(job: Job, item: int, planned: PlannedStep) -> str:
    return planned.start_of(item, job.ladder)


def _pass_barrier(
    tx: Connection, job: Job, whole: Standing, before: Mapping[str, Sub], trail: ItemTrail | None
) -> Job | None:
    """Return the job as it goes on from what steps of the whole job came to; None when it failed or went back."""
    if whole.state is ItemState.FAILED:
        reason = _why_failed(whole)
        barriers.note_failed(tx, job=job, subs=whole.subs, reason=reason)
        fail(tx, job=job.id, reason=reason)
        return None
    over = {name for name, sub in before.items() if sub.ended}
    ended = [name for name, sub in whole.subs.items() if sub.ended and name not in over]
    models = {one.step: one.model for one in trail.attempts if one.verdict == "accept"} if trail else {}
    ahead = barriers.follow(tx, job=job, subs=whole.subs, steps=ended, by=models)
    if ahead.failure is not None:
        fail(tx, job=job.id, reason=ahead.failure)
        return None
    if ahead.back_to is not None:
        open_segment(tx, job=ahead.job, segment=ahead.back_to)
        return None
    return ahead.job


def _why_failed(whole: Standing) -> str:
    """Return why a step of the whole job failed, with what was wrong with its last answer."""
    failed = [sub for sub in whole.subs.values() if sub.state == SubtaskState.FAILED]
    faults = [fault for sub in failed for fault in sub.feedback]
    return ": ".join([whole.reason or "a step of the whole job failed", *(["; ".join(faults)] if faults else [])])


def _current(trail: ItemTrail, known: Mapping[str, Sub], batch: str | None) -> ItemTrail:
    """Return a trail without what it says of unsettled subtasks that have gone on by another message since."""

    def is_current(left: Left) -> bool:
        sub = known.get(left.step)
        if sub is None or sub.batch == batch:
            return True
        return sub.batch is None and sub.state in (SubtaskState.OPEN, SubtaskState.PAUSED) and left.n >= sub.n

    return trail.evolve(left=tuple(left for left in trail.left if is_current(left))) if trail.left else trail


def _batches(
    tx: Connection,
    place: Place,
    standings: Mapping[int, Standing],
    loaded: Mapping[int, RowMapping],
    size: Callable[[str], int] | None,
) -> list[dict[str, Any]]:
    """Return a batch row for each tier that something goes on to, cut to size."""
    job, changed_at = place.job, clock(tx)
    together: dict[tuple[str, str], list[int]] = {}
    for n, standing in standings.items():
        if loaded[n]["state"] in _OPEN:
            for key in dict.fromkeys((tier, lane(n, step)) for tier, steps in standing.todo.items() for step in steps):
                together.setdefault(key, []).append(n)
    rows: list[dict[str, Any]] = []
    for (tier, own), numbers in together.items():
        step = _even(len(numbers), size(tier) if size else len(numbers))
        rows += [
            {
                "id": uuid4().hex[:16],
                "job": job.id,
                "segment": place.segment,
                "shard": place.shard,
                "parent": place.parent,
                "changed_at": changed_at,
                "tier": tier,
                "lane": own,
                "items": numbers[at : at + step],
                "size": len(numbers[at : at + step]),
                # What goes to a Batch API waits for its tier's next provider batch.
                "state": BatchState.FILLING if job.tier(tier).kind is TierKind.BATCH else BatchState.READY,
                "lost": 0,
            }
            for at in range(0, len(numbers), step)
        ]
    return rows


def _even(count: int, most: int) -> int:
    """Return the size of as many batches as it takes, all alike."""
    return -(-count // -(-count // most))


def _save_subtasks(
    tx: Connection, *, job: Job, standings: Mapping[int, Standing], made: Sequence[Mapping[str, Any]]
) -> dict[int, dict[str, Sub]]:
    """Write what has changed of the items' subtasks; return them all as they are now."""
    holder = {(n, batch["tier"], batch["lane"]): batch["id"] for batch in made for n in batch["items"]}
    after: dict[int, dict[str, Sub]] = {}
    rows = []
    time = clock(tx)
    for n, standing in standings.items():
        asked = {step: tier for tier, steps in standing.todo.items() for step in steps}
        subs = after[n] = dict(standing.subs)
        for step in sorted(standing.changed):
            sub = subs.get(step) or Sub(step, asked[step])
            if step in asked:
                sub = sub._replace(batch=holder.get((n, asked[step], lane(n, step))))
            subs[step] = sub
            due_at = None if sub.wait_s is None else time + timedelta(seconds=sub.wait_s)
            rows.append(subtask_row(job.id, n, sub, due_at=due_at))
    subtasks.save(tx, rows=rows)
    return after


def subtask_row(job: str, item: int, sub: Sub, *, due_at: datetime | None = None) -> dict[str, Any]:
    """Return the columns of a subtask."""
    row = sub._asdict()
    del row["wait_s"]
    row["feedback"] = list(sub.feedback)
    return {"job": job, "item": item, **row, "due_at": due_at}


def _save_items(
    tx: Connection,
    *,
    job: Job,
    segment: int,
    trails: Mapping[int, ItemTrail],
    standings: Mapping[int, Standing],
    loaded: Mapping[int, RowMapping],
) -> int:
    """Write items' standing and money; return how many are through with the segment or have failed."""
    open_rows, ended_rows, finished = [], [], 0
    for n, item in loaded.items():
        standing = standings[n]
        row = _item_row(job, item, standing, trails.get(n, ItemTrail(item=n)), segment)
        if item["state"] in _OPEN:
            ends = standing.through or standing.state is ItemState.FAILED
            finished += ends and item["segment"] == segment
            if standing.state is ItemState.FAILED:
                _tell_failed(tx, job, item, standing, trails.get(n))
            if n in trails or ends or row["state"] != item["state"]:
                open_rows.append(row)
        elif n in trails:
            ended_rows.append(row)
    items.save(tx, rows=open_rows)
    items.add_costs(tx, rows=ended_rows)
    return finished


def _tell_failed(tx: Connection, job: Job, item: RowMapping, standing: Standing, trail: ItemTrail | None) -> None:
    """Log that an item failed: where, and at what; reasons may quote an answer, so kinds and names stand for them."""
    step = next((name for name, sub in standing.subs.items() if sub.state == SubtaskState.FAILED), None)
    last = next((one for one in reversed(trail.attempts if trail else ()) if one.step == step), None)
    extra = {
        "job": job.id,
        "item": item["n"],
        "step": step,
        "tier": last.tier if last else None,
        "error": last.error.value if last and last.error else "input" if last is None else None,
        "checks": ",".join(check.check for check in last.checks if not check.passed) if last else "",
    }
    log_after(tx, _log, logging.INFO, "item.failed", extra)


def _item_row(job: Job, item: RowMapping, standing: Standing, trail: ItemTrail, segment: int) -> dict[str, Any]:
    settled = standing.through and item["n"] != WHOLE_JOB and settles_after(job.plan, segment)
    state = ItemState.SETTLED if settled else standing.state
    return {
        "state": state.value,
        "segment": segment + 1 if standing.through else segment,
        "output": _output(job, item, standing) if standing.through else item["output"],
        "tier": highest_tier(job, standing.subs),
        "climbed": has_climbed(job, standing.subs),
        "reason": standing.reason,
        "started_at": min((attempt.started_at for attempt in trail.attempts), default=None),
        "ended_at": now() if settled or state is ItemState.FAILED else None,
        **cost_row(job.id, item["n"], trail.attempts),
    }


def cost_row(job: str, item: int, attempts: Sequence[Attempt]) -> dict[str, str | int | float]:
    """Return what attempts add to an item's account."""
    return {
        "in_job": job,
        "in_n": item,
        "more_attempts": len(attempts),
        "more_usd": sum(attempt.cost_usd or 0.0 for attempt in attempts),
        "more_unpriced": sum(attempt.cost_usd is None for attempt in attempts),
    }


def _output(job: Job, item: RowMapping, standing: Standing) -> Json:
    values = values_of(standing.subs)
    if item["n"] == WHOLE_JOB:
        telling = (one.step.name for one in reversed(job.plan.steps) if not one.step.kind.steers)
        return next((values[name] for name in telling if name in values), None)
    return output(job.plan, item=item["input"], values=values)


def has_climbed(job: Job, subs: Mapping[str, Sub]) -> bool:
    """Say whether an answer was accepted on a higher tier than its step begins on."""
    ranks = {tier: rank for rank, tier in enumerate(job.ladder)}
    starts = {planned.step.name: ranks.get(planned.start_tier) for planned in job.plan.steps}
    return any(
        sub.state == SubtaskState.SETTLED
        and (start := starts.get(step_of(name))) is not None
        and ranks.get(sub.tier, -1) > start
        for name, sub in subs.items()
    )


def highest_tier(job: Job, subs: Mapping[str, Sub]) -> str | None:
    """Return the highest tier of the ladder whose answer was accepted; the tools tier where no model was asked."""
    used = {sub.tier for sub in subs.values() if sub.state == SubtaskState.SETTLED and sub.tier != GATHERED}
    models = [tier for tier in job.ladder if tier in used]
    return models[-1] if models else next(iter(used), None)
